"""Version 2: tasks of any number of contenders, pairs or rankings, several criteria, overlap, gold items and repeats."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from rlhf_core.feedback.migrations.steps import link, one_of, refuse_changes, text
from rlhf_core.feedback.schema import AnyText

revision = "0002"
down_revision = "0001"

OLD = ("tasks", "items", "assignments", "votes")
APPEND_ONLY = ("task_states", "instructions", "assignments", "votes", "verdicts")


def upgrade() -> None:
    """Make today's tables and move what version 1 recorded: every id and every token stays what it was."""
    connection = op.get_bind()
    old = sa.inspect(connection).has_table("tasks")
    if old:
        op.drop_index("one_vote_per_token")
        for table in OLD:
            op.rename_table(table, f"old_{table}")
    make_tasks()
    make_votes()
    if old:
        for statement in MOVES:
            op.execute(statement)
        for table in reversed(OLD):
            op.drop_table(f"old_{table}")
    for table in APPEND_ONLY:
        refuse_changes(table, connection.dialect.name)


def make_tasks() -> None:
    """Make the tables of what is to be judged."""
    op.create_table(
        "tasks",
        sa.Column("id", sa.Integer, primary_key=True),
        *(text(name) for name in ("fingerprint", "run_name", "form")),
        *(sa.Column(name, sa.JSON, nullable=False) for name in ("contenders", "criteria", "leaks")),
        *(sa.Column(name, sa.Integer) for name in ("overlap", "repeat_every")),
        *(
            sa.Column(name, sa.Integer, nullable=False)
            for name in ("gold_every", "size", "golds", "seed", "identical", "unmatched")
        ),
        text("created_at"),
        sa.UniqueConstraint("fingerprint"),
        one_of("form", "pairwise", "ranking"),
    )
    for name, *columns in (
        ("task_states", text("state"), one_of("state", "draft", "open", "paused", "closed")),
        ("instructions", text("version"), sa.Column("text", AnyText, nullable=False)),
    ):
        op.create_table(
            name,
            sa.Column("id", sa.Integer, primary_key=True),
            link("task_id", "tasks.id"),
            *columns,
            text("created_at"),
        )
        op.create_index(f"ix_{name}_task_id", name, ["task_id"])
    op.create_table(
        "items",
        sa.Column("id", sa.Integer, primary_key=True),
        link("task_id", "tasks.id"),
        sa.Column("number", sa.Integer, nullable=False),
        *(text(name) for name in ("kind", "prompt_id", "category")),
        sa.Column("prompt", AnyText, nullable=False),
        sa.Column("gold", sa.String),
        sa.UniqueConstraint("task_id", "number"),
        one_of("kind", "item", "gold"),
    )
    op.create_table(
        "completions",
        link("item_id", "items.id", primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True),
        text("contender"),
        sa.Column("text", AnyText, nullable=False),
    )


def make_votes() -> None:
    """Make the tables of who was shown what, and said what."""
    op.create_table(
        "claims",
        link("item_id", "items.id", primary_key=True),
        sa.Column("labeller", sa.String, primary_key=True),
        link("task_id", "tasks.id"),
        text("kind"),
        text("state"),
        sa.Column("until", sa.Float, nullable=False),
        sa.Column("vote_id", sa.Integer),
        one_of("state", "held", "judged", "skipped", "lost"),
    )
    op.create_index("claims_of_a_labeller", "claims", ["task_id", "labeller"])
    op.create_table(
        "assignments",
        sa.Column("id", sa.Integer, primary_key=True),
        text("token"),
        link("item_id", "items.id"),
        text("labeller"),
        sa.Column("showing", sa.Integer, nullable=False),
        sa.Column("repeats", sa.Boolean, nullable=False),
        text("shown"),
        link("instructions_id", "instructions.id"),
        text("created_at"),
        sa.UniqueConstraint("token"),
        sa.UniqueConstraint("item_id", "labeller", "showing"),
    )
    op.create_index("assignments_of_a_labeller", "assignments", ["labeller", "id"])
    op.create_table(
        "votes",
        sa.Column("id", sa.Integer, primary_key=True),
        link("assignment_id", "assignments.id"),
        text("action"),
        sa.Column("supersedes", sa.Integer, sa.ForeignKey("votes.id")),
        sa.Column("reading_seconds", sa.Float, nullable=False),
        sa.Column("reason", AnyText, nullable=False),
        sa.Column("simulated", sa.Boolean, nullable=False),
        text("created_at"),
        sa.UniqueConstraint("supersedes"),
        one_of("action", "vote", "skip", "undo"),
        sa.CheckConstraint("(action = 'undo') = (supersedes IS NOT NULL)", name="an_undo_supersedes"),
        sqlite_autoincrement=True,
    )
    given = sa.text("action != 'undo'")
    op.create_index(
        "one_vote_a_token", "votes", ["assignment_id"], unique=True, sqlite_where=given, postgresql_where=given
    )
    op.create_table(
        "verdicts",
        link("vote_id", "votes.id", primary_key=True),
        sa.Column("criterion", sa.String, primary_key=True),
        text("verdict"),
        sa.Column("strength", sa.Integer),
    )


MOVES = (
    """INSERT INTO tasks (id, fingerprint, run_name, form, contenders, criteria, leaks, gold_every, size, golds, seed,
           identical, unmatched, created_at)
       SELECT id, fingerprint, run_name, 'pairwise', json_array(baseline, contender), '["overall"]', '[]', 10,
           (SELECT count(*) FROM old_items i WHERE i.task_id = old_tasks.id), 0, seed, identical, unmatched, created_at
       FROM old_tasks""",
    "INSERT INTO task_states (task_id, state, created_at) SELECT id, 'open', created_at FROM old_tasks",
    """INSERT INTO instructions (id, task_id, version, text, created_at)
       SELECT id, id, instruction_version, instructions, created_at FROM old_tasks""",
    """INSERT INTO items (id, task_id, number, kind, prompt_id, category, prompt)
       SELECT id, task_id, row_number() OVER (PARTITION BY task_id ORDER BY id) - 1, 'item', prompt_id, category, prompt
       FROM old_items""",
    """INSERT INTO completions (item_id, place, contender, text)
       SELECT i.id, 0, t.baseline, i.baseline_text FROM old_items i JOIN old_tasks t ON t.id = i.task_id
       UNION ALL SELECT i.id, 1, t.contender, i.contender_text FROM old_items i JOIN old_tasks t ON t.id = i.task_id""",
    """INSERT INTO assignments (id, token, item_id, labeller, showing, repeats, shown, instructions_id, created_at)
       SELECT a.id, a.token, a.item_id, a.labeller, a.showing, 0, CASE a.contender_side WHEN 'a' THEN '10' ELSE '01' END,
           i.task_id, a.created_at
       FROM old_assignments a JOIN old_items i ON i.id = a.item_id""",
    """INSERT INTO votes (id, assignment_id, action, supersedes, reading_seconds, reason, simulated, created_at)
       SELECT id, assignment_id, CASE WHEN verdict IN ('skip', 'undo') THEN verdict ELSE 'vote' END, supersedes,
           reading_seconds, reason, simulated, created_at FROM old_votes""",
    """INSERT INTO verdicts (vote_id, criterion, verdict)
       SELECT id, 'overall', verdict FROM old_votes WHERE verdict NOT IN ('skip', 'undo')""",
    # The last vote in force of a labeller on an item says what became of it; an item that awaits a verdict is held anew.
    """INSERT INTO claims (item_id, labeller, task_id, kind, state, until, vote_id)
       SELECT DISTINCT a.item_id, a.labeller, i.task_id, 'item', 'held', 0, NULL
       FROM old_assignments a JOIN old_items i ON i.id = a.item_id""",
    """UPDATE claims SET (state, vote_id) = (
           SELECT CASE v.verdict WHEN 'skip' THEN 'skipped' ELSE 'judged' END, v.id
           FROM old_votes v JOIN old_assignments a ON a.id = v.assignment_id
           WHERE a.item_id = claims.item_id AND a.labeller = claims.labeller
           ORDER BY a.showing DESC LIMIT 1)
       WHERE EXISTS (
           SELECT 1 FROM old_votes v JOIN old_assignments a ON a.id = v.assignment_id
           WHERE a.item_id = claims.item_id AND a.labeller = claims.labeller AND v.verdict <> 'undo'
             AND NOT EXISTS (SELECT 1 FROM old_votes u WHERE u.supersedes = v.id)
             AND a.showing = (SELECT max(b.showing) FROM old_assignments b
                              WHERE b.item_id = a.item_id AND b.labeller = a.labeller))""",
)
