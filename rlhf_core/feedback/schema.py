"""The tables of judging. What people did is append-only: task states, instructions, assignments, votes, verdicts; and who
was let in: invitations, sessions, endings.

Two tables are rewritten, and follow from the log: `claims` says who holds or has judged an item, and is what keeps the
overlap; `places` counts these for each item, so that the next one is found without counting.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

REVISION = "0005"
"""The newest migration: what a store must be at to be used."""
APPEND_ONLY = (
    *("task_states", "instructions", "assignments", "votes", "verdicts"),
    *("invitations", "sessions", "endings"),
)
FORMS = ("pairwise", "ranking")
STATES = ("draft", "open", "paused", "closed")
ROLES = ("owner", "reviewer", "labeller")


class AnyText(sa.TypeDecorator[str]):
    r"""Text with any character. PostgreSQL cannot hold NUL, so there NUL is kept as `\0` and a backslash as `\\`."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Escape on the way in."""
        if value is None or dialect.name != "postgresql":
            return value
        return value.replace("\\", "\\\\").replace("\0", "\\0")

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Undo `process_bind_param`."""
        if value is None or dialect.name != "postgresql":
            return value
        return "\\".join(part.replace("\\0", "\0") for part in value.split("\\\\"))


def _one_of(column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=f"{column}_is_known")


metadata = sa.MetaData()

tasks = sa.Table(
    "tasks",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("fingerprint", sa.String, nullable=False, unique=True),
    sa.Column("run_name", sa.String, nullable=False),
    sa.Column("form", sa.String, _one_of("form", FORMS), nullable=False),
    sa.Column("contenders", sa.JSON, nullable=False),
    sa.Column("criteria", sa.JSON, nullable=False),
    sa.Column("overlap", sa.Integer),  # labellers per item; NULL: everybody judges everything
    sa.Column("gold_every", sa.Integer, nullable=False),
    sa.Column("repeat_every", sa.Integer),  # NULL: no hidden repeats
    sa.Column("size", sa.Integer, nullable=False),  # items, gold among them
    sa.Column("golds", sa.Integer, nullable=False),
    sa.Column("seed", sa.Integer, nullable=False),
    sa.Column("identical", sa.Integer, nullable=False),
    sa.Column("unmatched", sa.Integer, nullable=False),
    sa.Column("leaks", sa.JSON, nullable=False),
    sa.Column("created_at", sa.String, nullable=False),
)

task_states = sa.Table(
    "task_states",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("task_id", sa.ForeignKey("tasks.id"), nullable=False, index=True),
    sa.Column("state", sa.String, _one_of("state", STATES), nullable=False),
    sa.Column("created_at", sa.String, nullable=False),
)

instructions = sa.Table(
    "instructions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("task_id", sa.ForeignKey("tasks.id"), nullable=False, index=True),
    sa.Column("version", sa.String, nullable=False),
    sa.Column("text", AnyText, nullable=False),
    sa.Column("created_at", sa.String, nullable=False),
)

items = sa.Table(
    "items",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("task_id", sa.ForeignKey("tasks.id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),  # its place in the shuffled order of the task
    sa.Column("kind", sa.String, _one_of("kind", ("item", "gold")), nullable=False),
    sa.Column("prompt_id", sa.String, nullable=False),
    sa.Column("prompt", AnyText, nullable=False),
    sa.Column("category", sa.String, nullable=False),
    sa.Column("gold", sa.String),  # the right verdict on the completions in their stored order
    sa.Column(
        "history", sa.JSON(none_as_null=True)
    ),  # turns in `prompt` before its last message; NULL: it is one message
    sa.UniqueConstraint("task_id", "number"),
)

completions = sa.Table(
    "completions",
    metadata,
    sa.Column("item_id", sa.ForeignKey("items.id"), primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True),
    sa.Column("contender", sa.String, nullable=False),
    sa.Column("text", AnyText, nullable=False),
)

claims = sa.Table(
    "claims",
    metadata,
    sa.Column("item_id", sa.ForeignKey("items.id"), primary_key=True),
    sa.Column("labeller", sa.String, primary_key=True),
    sa.Column("task_id", sa.ForeignKey("tasks.id"), nullable=False),  # of the item, as `kind`: every click asks
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("state", sa.String, _one_of("state", ("held", "judged", "skipped", "lost")), nullable=False),
    sa.Column("until", sa.Float, nullable=False),  # how long a held item is kept, seconds since 1970; 0: no longer
    sa.Column("vote_id", sa.Integer),
)
sa.Index("claims_of_a_labeller", claims.c.task_id, claims.c.labeller, claims.c.state, claims.c.kind)
sa.Index("claims_that_run_out", claims.c.task_id, claims.c.state, claims.c.until)

places = sa.Table(
    "places",
    metadata,
    sa.Column("item_id", sa.ForeignKey("items.id"), primary_key=True),  # gold items have none: they are for everybody
    sa.Column("task_id", sa.ForeignKey("tasks.id"), nullable=False),  # of the item, as `number`: the order is an index
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("taken", sa.Integer, nullable=False),  # the item's claims that take a place; see `claims.py`
)
sa.Index("places_in_order", places.c.task_id, places.c.taken, places.c.number)

assignments = sa.Table(
    "assignments",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("token", sa.String, nullable=False, unique=True),
    sa.Column("item_id", sa.ForeignKey("items.id"), nullable=False),
    sa.Column("labeller", sa.String, nullable=False),
    sa.Column("showing", sa.Integer, nullable=False),  # 1, then one more each time the item comes back
    sa.Column("repeats", sa.Boolean, nullable=False),  # shown once more to see whether the labeller says the same
    sa.Column("shown", sa.String, nullable=False),  # places of the completions as shown: "10" has the second as A
    sa.Column("instructions_id", sa.ForeignKey("instructions.id"), nullable=False),
    sa.Column("created_at", sa.String, nullable=False),
    sa.UniqueConstraint("item_id", "labeller", "showing"),
)
sa.Index("assignments_of_a_labeller", assignments.c.labeller, assignments.c.id)
sa.Index(
    "repeats_of_a_labeller",
    assignments.c.labeller,
    sqlite_where=sa.text("repeats = 1"),
    postgresql_where=sa.text("repeats"),
)

votes = sa.Table(
    "votes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("assignment_id", sa.ForeignKey("assignments.id"), nullable=False),
    sa.Column("action", sa.String, _one_of("action", ("vote", "skip", "undo")), nullable=False),
    sa.Column("supersedes", sa.ForeignKey("votes.id"), unique=True),
    sa.Column("reading_seconds", sa.Float, nullable=False),
    sa.Column("reason", AnyText, nullable=False),
    sa.Column("simulated", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.String, nullable=False),
    sa.CheckConstraint("(action = 'undo') = (supersedes IS NOT NULL)", name="an_undo_supersedes"),
    sqlite_autoincrement=True,
)
NOT_UNDO = votes.c.action != sa.literal_column("'undo'")
"""Without it in the same letters SQLite does not find an assignment's vote by the index, but reads all votes."""
sa.Index("one_vote_a_token", votes.c.assignment_id, unique=True, sqlite_where=NOT_UNDO, postgresql_where=NOT_UNDO)

verdicts = sa.Table(
    "verdicts",
    metadata,
    sa.Column("vote_id", sa.ForeignKey("votes.id"), primary_key=True),
    sa.Column("criterion", sa.String, primary_key=True),
    sa.Column("verdict", sa.String, nullable=False),  # of what was shown; see `verdicts.py`
    sa.Column("strength", sa.Integer),
)

invitations = sa.Table(
    "invitations",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String, nullable=False, index=True),  # whom it lets in: the labeller's name
    sa.Column("role", sa.String, _one_of("role", ROLES), nullable=False),
    sa.Column("token_hash", sa.String, nullable=False, unique=True),  # SHA-256 of the link's secret, never the secret
    sa.Column("expires_at", sa.Float, nullable=False),  # seconds since 1970
    sa.Column("invited_by", sa.String, nullable=False),  # empty: by the command on the server
    sa.Column("created_at", sa.String, nullable=False),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("invitation_id", sa.ForeignKey("invitations.id"), nullable=False, index=True),
    sa.Column("token_hash", sa.String, nullable=False, unique=True),  # SHA-256 of the cookie's secret
    sa.Column("address", sa.String, nullable=False),  # where the link was opened
    sa.Column("created_at", sa.String, nullable=False),
)

endings = sa.Table(
    "endings",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("invitation_id", sa.ForeignKey("invitations.id"), nullable=False, index=True),
    sa.Column("session_id", sa.ForeignKey("sessions.id")),  # NULL: the invitation itself, with all its sessions
    sa.Column("ended_by", sa.String, nullable=False),
    sa.Column("created_at", sa.String, nullable=False),
)
