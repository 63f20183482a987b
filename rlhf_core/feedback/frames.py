"""Votes as data frames: the effective votes that statistics count, and the full log behind them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import pandas as pd
import sqlalchemy as sa

from rlhf_core.feedback.schema import NOT_UNDO, assignments, completions, instructions, items, verdicts, votes
from rlhf_core.feedback.verdicts import comparisons, on_places

SCORES = {"contender": 1.0, "baseline": 0.0, "tie": 0.5, "both_bad": 0.5}
VOTE_TYPES = {
    "vote_id": "int64",
    "task_id": "int64",
    "item_id": "int64",
    "prompt_id": "str",
    "prompt": "str",
    "category": "str",
    "labeller": "str",
    "criterion": "str",
    "baseline": "str",
    "contender": "str",
    "outcome": "str",
    "score": "float64",
    "strength": "Int64",
    "contender_side": "str",
    "reading_seconds": "float64",
    "words": "int64",
    "length_difference": "int64",
    "reason": "str",
    "created_at": "str",
    "instruction_version": "str",
    "simulated": "bool",
    "kind": "str",
    "repeat_of": "Int64",
    "gold": "str",
}
LOG_COLUMNS = (
    *("vote_id", "task_id", "item_id", "prompt_id", "labeller", "action", "criterion", "verdict", "strength"),
    *("supersedes", "shown", "repeats", "reading_seconds", "reason", "instruction_version", "created_at", "simulated"),
)
KINDS = ("item", "gold", "repeat")


def in_force() -> sa.ColumnElement[bool]:
    """Return the condition that a row of `votes` is neither an undo nor undone."""
    undo = votes.alias("undo")
    return NOT_UNDO & ~sa.exists().where(undo.c.supersedes == votes.c.id)


def votes_frame(connection: sa.Connection, task_id: int, kinds: Sequence[str] = ("item",)) -> pd.DataFrame:
    """Return the votes in force in the order they were given, skips left out: a row for each criterion and each pair.

    A ranking of K completions is K(K−1)/2 rows. `contender` is the later of the two in the task's order. `kinds` of
    "item" are what win rates count; "gold" and "repeat" say something about the labeller. `vote_id` is the place in the
    log, which unlike `created_at` no clock can disorder. `words` are those a labeller has to read before voting, the
    prompt's and all answers'; `length_difference` is the contender's words less the baseline's.
    """
    shown = _shown(connection, task_id)
    query = log_rows(task_id).where(in_force(), votes.c.action == "vote")
    rows = [
        row
        for given in connection.execute(query)
        if (kind := "repeat" if given.repeats else given.kind) in kinds
        for row in _compared(given._mapping, kind, shown[given.item_id])
    ]
    return pd.DataFrame(rows, columns=list(VOTE_TYPES)).astype(VOTE_TYPES)


def log_frame(connection: sa.Connection, task_id: int) -> pd.DataFrame:
    """Return every row ever written, skips and undos included; `supersedes` is the vote an undo takes back."""
    rows = [dict(row._mapping) for row in connection.execute(log_rows(task_id))]
    return pd.DataFrame(rows, columns=list(LOG_COLUMNS)).astype({"supersedes": "Int64", "strength": "Int64"})


def log_size(connection: sa.Connection, task_id: int) -> int:
    """Return how many times somebody voted, skipped or took back."""
    rows = sa.select(sa.func.count()).select_from(votes.join(assignments).join(items)).where(items.c.task_id == task_id)
    return connection.execute(rows).scalar_one()


def log_rows(task_id: int) -> sa.Select[Any]:
    """Return every row of a task's log with what it is about, in the order of the log, verdicts by criterion."""
    joined = votes.join(assignments, assignments.c.id == votes.c.assignment_id).join(items).outerjoin(verdicts)
    joined = joined.join(instructions, instructions.c.id == assignments.c.instructions_id)
    columns = (
        votes.c.id.label("vote_id"),
        *(votes.c[name] for name in ("action", "supersedes", "reading_seconds", "reason", "created_at", "simulated")),
        *(assignments.c[name] for name in ("item_id", "labeller", "shown", "repeats")),
        *(items.c[name] for name in ("task_id", "prompt_id", "prompt", "category", "kind", "gold")),
        *(verdicts.c[name] for name in ("criterion", "verdict", "strength")),
        instructions.c.version.label("instruction_version"),
    )
    ordered = sa.select(*columns).select_from(joined).where(items.c.task_id == task_id)
    return ordered.order_by(votes.c.id, verdicts.c.criterion)


def _shown(connection: sa.Connection, task_id: int) -> dict[int, list[tuple[str, int]]]:
    """Return each item's completions in their stored order, each its contender and its words."""
    query = sa.select(completions.c.item_id, completions.c.contender, completions.c.text)
    ordered = query.select_from(completions.join(items)).where(items.c.task_id == task_id)
    found: dict[int, list[tuple[str, int]]] = {}
    for item_id, contender, text in connection.execute(ordered.order_by(completions.c.item_id, completions.c.place)):
        found.setdefault(item_id, []).append((contender, len(text.split())))
    return found


def _compared(given: Any, kind: str, shown: list[tuple[str, int]]) -> list[dict[str, Any]]:
    """One row for each pair that a verdict compares."""
    shared = {name: given[name] for name in VOTE_TYPES if name in given}
    shared["words"] = len(given["prompt"].split()) + sum(words for _, words in shown)
    shared |= {"kind": kind, "repeat_of": given["item_id"] if kind == "repeat" else None}
    rows = _outcomes(given["verdict"], given["shown"])
    known = _known(given["gold"], len(shown))
    return [
        {
            **shared,
            "baseline": shown[i][0],
            "contender": shown[j][0],
            "length_difference": shown[j][1] - shown[i][1],
            "outcome": outcome,
            "score": SCORES[outcome],
            "contender_side": "a" if given["shown"].index(str(j)) < given["shown"].index(str(i)) else "b",
            "gold": known.get((i, j)),
        }
        for i, j, outcome in rows
    ]


@lru_cache(maxsize=4096)
def _outcomes(verdict: str, shown: str) -> tuple[tuple[int, int, str], ...]:
    return tuple(comparisons(on_places(verdict, shown), len(shown)))


@lru_cache(maxsize=4096)
def _known(gold: str | None, size: int) -> dict[tuple[int, int], str]:
    return {(i, j): outcome for i, j, outcome in comparisons(gold, size)} if gold else {}
