"""Version 5: an item says which turns of what it shows came before the last message."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column; of the items that are there nobody knows it."""
    op.add_column("items", sa.Column("history", sa.JSON))
