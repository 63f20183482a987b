"""From one schema of the vote store to the next: the steps in `versions/`, run when a store is opened."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from rlhf_core.errors import VoteError


def upgrade(connection: sa.Connection, version_table: str, found: str | None) -> None:
    """Run the steps after revision `found` (None: all of them) inside the transaction that is open.

    Raises:
        VoteError: the store is at a revision that is not known here.
    """
    config = Config(attributes={"connection": connection, "version_table": version_table})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    if found is not None and found not in known:
        raise VoteError(
            "the vote store was made by a later version",
            value=found,
            remedy=f"Update this program: it knows revisions up to {known[0]}",
        )
    if found is not None:
        command.stamp(config, found)
    command.upgrade(config, "head")
