"""Version 4: how many places of each item are taken is kept, and every question of a click has its index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from rlhf_core.feedback.migrations.steps import link

revision = "0004"
down_revision = "0003"

FILL = """
    INSERT INTO places (item_id, task_id, number, taken)
    SELECT i.id, i.task_id, i.number,
        (SELECT count(*) FROM claims c
         WHERE c.item_id = i.id AND (c.state = 'judged' OR (c.state = 'held' AND c.until > 0)))
    FROM items i WHERE i.kind = 'item'"""


def upgrade() -> None:
    """Make the table, filled from the claims, and the indexes."""
    op.create_table(
        "places",
        link("item_id", "items.id", primary_key=True),
        link("task_id", "tasks.id"),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("number", "taken")),
    )
    op.execute(FILL)
    op.create_index("places_in_order", "places", ["task_id", "taken", "number"])
    op.drop_index("claims_of_a_labeller", "claims")
    op.create_index("claims_of_a_labeller", "claims", ["task_id", "labeller", "state", "kind"])
    op.create_index("claims_that_run_out", "claims", ["task_id", "state", "until"])
    on_sqlite, elsewhere = sa.text("repeats = 1"), sa.text("repeats")
    op.create_index(
        "repeats_of_a_labeller", "assignments", ["labeller"], sqlite_where=on_sqlite, postgresql_where=elsewhere
    )
