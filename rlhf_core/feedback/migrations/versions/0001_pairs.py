"""Version 1: pairs of two contenders, one verdict each, in SQLite.

Stores of this version were made before there were migrations and are marked as such when they are opened; a new store passes
over it.
"""

from __future__ import annotations

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make nothing: the next step makes its own tables."""
