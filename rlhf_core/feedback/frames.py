"""Votes as data frames: the effective votes that statistics count, and the full log behind them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import sqlalchemy as sa

from rlhf_core.feedback.schema import assignments, items, tasks, votes

SCORES = {"contender": 1.0, "baseline": 0.0, "tie": 0.5, "both_bad": 0.5}
VOTE_TYPES = {
    "task_id": "int64",
    "item_id": "int64",
    "prompt_id": "str",
    "prompt": "str",
    "category": "str",
    "labeller": "str",
    "baseline": "str",
    "contender": "str",
    "outcome": "str",
    "score": "float64",
    "contender_side": "str",
    "reading_seconds": "float64",
    "reason": "str",
    "created_at": "str",
    "instruction_version": "str",
    "simulated": "bool",
}
LOG_COLUMNS = (
    *("vote_id", "task_id", "item_id", "prompt_id", "labeller", "verdict", "supersedes", "contender_side"),
    *("reading_seconds", "reason", "created_at", "simulated"),
)


def in_force() -> sa.ColumnElement[bool]:
    """Return the condition that a row of `votes` is neither an undo nor undone."""
    undo = votes.alias("undo")
    return (votes.c.verdict != "undo") & ~sa.exists().where(undo.c.supersedes == votes.c.id)


def outcome(verdict: str, contender_side: str) -> str:
    """Return who won: a verdict names a side, an outcome a role."""
    if verdict not in ("a", "b"):
        return verdict
    return "contender" if verdict == contender_side else "baseline"


def votes_frame(connection: sa.Connection, task_id: int) -> pd.DataFrame:
    """Return the votes in force, skips left out, in the order they were given."""
    query = _joined(task_id).where(in_force() & (votes.c.verdict != "skip"))
    rows = [_scored(dict(row._mapping)) for row in connection.execute(query)]
    return pd.DataFrame(rows, columns=list(VOTE_TYPES)).astype(VOTE_TYPES)


def log_frame(connection: sa.Connection, task_id: int) -> pd.DataFrame:
    """Return every row ever written, skips and undos included; `supersedes` is the vote an undo takes back."""
    rows = [dict(row._mapping) for row in connection.execute(_joined(task_id))]
    return pd.DataFrame(rows, columns=list(LOG_COLUMNS)).astype({"supersedes": "Int64"})


def _joined(task_id: int) -> sa.Select[Any]:
    joined = votes.join(assignments).join(items).join(tasks)
    columns = (
        votes.c.id.label("vote_id"),
        *(votes.c[name] for name in ("verdict", "supersedes", "reading_seconds", "reason", "created_at", "simulated")),
        *(assignments.c[name] for name in ("item_id", "labeller", "contender_side")),
        *(items.c[name] for name in ("task_id", "prompt_id", "prompt", "category")),
        *(tasks.c[name] for name in ("baseline", "contender", "instruction_version")),
    )
    return sa.select(*columns).select_from(joined).where(items.c.task_id == task_id).order_by(votes.c.id)


def _scored(row: dict[str, Any]) -> dict[str, Any]:
    result = outcome(row["verdict"], row["contender_side"])
    return {**row, "outcome": result, "score": SCORES[result]}
