"""Votes as records of their own, which other projects' formats are written from: unblinded, people under pseudonyms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import sqlalchemy as sa

from rlhf_core.data.exchange.format import pseudonym
from rlhf_core.data.records import Message, PairVote, last_message
from rlhf_core.feedback.frames import in_force, log_rows
from rlhf_core.feedback.schema import assignments, completions, items, verdicts, votes
from rlhf_core.feedback.verdicts import comparisons

AT_ONCE = 500
"""Votes in memory."""
VERDICTS = {"baseline": "a", "contender": "b"}
"""Of two answers, the one shown first is `a`, whoever wrote it."""

_GIVEN = in_force() & (votes.c.action == "vote")
_SHOWN = (
    sa.select(items.c.history, completions.c.item_id, completions.c.contender, completions.c.text)
    .select_from(completions.join(items))
    .where(items.c.id.in_(sa.bindparam("items", expanding=True)))
    .order_by(completions.c.item_id, completions.c.place)
)
_KINDS = (
    sa.select(items.c.kind, assignments.c.repeats, votes.c.simulated, sa.func.count())
    .select_from(votes.join(assignments, assignments.c.id == votes.c.assignment_id).join(items))
    .where(items.c.task_id == sa.bindparam("task"), _GIVEN)
    .group_by(items.c.kind, assignments.c.repeats, votes.c.simulated)
)


@dataclass(frozen=True)
class Wanted:
    """Which judgements of a task become records.

    Attributes:
        task: the task's number.
        criteria: those that are taken.
        name_criterion: whether a record's id names its criterion, as it must where a task has several.
        simulated: those that no person gave, instead of people's.
        between: only those on these two contenders; None: on all.
        salt: the key of pseudonyms.
    """

    task: int
    criteria: Sequence[str]
    name_criterion: bool
    simulated: bool
    between: frozenset[str] | None
    salt: bytes


@dataclass(frozen=True)
class VoteCounts:
    """How many votes in force a task has, a ranking being one: on gold items, hidden repeats, others by people and simulated."""

    golds: int
    repeats: int
    people: int
    simulated: int


def count_votes(connection: sa.Connection, task_id: int) -> VoteCounts:
    """Count a task's votes in force by what they are good for."""
    counts = dict.fromkeys(("golds", "repeats", "people", "simulated"), 0)
    for kind, repeats, simulated, count in connection.execute(_KINDS, {"task": task_id}):
        name = "repeats" if repeats else "golds" if kind == "gold" else "simulated" if simulated else "people"
        counts[name] += count
    return VoteCounts(**counts)


def pair_votes(connection: sa.Connection, wanted: Wanted) -> Iterator[PairVote]:
    """Yield the judgements in force in the order they were given; few of them are in memory at once.

    A vote on several criteria is as many records, and a ranking of K completions K(K−1)/2. Skips, votes taken back, gold
    items and hidden repeats are none.
    """
    query = log_rows(wanted.task).where(
        _GIVEN,
        ~assignments.c.repeats,
        items.c.kind == "item",
        votes.c.simulated == wanted.simulated,
        verdicts.c.criterion.in_(wanted.criteria),
    )
    found = connection.execute(query, execution_options={"stream_results": True, "yield_per": AT_ONCE})
    for given in found.mappings().partitions():
        shown = _shown(connection, sorted({row["item_id"] for row in given}))
        yield from chain.from_iterable(_records(row, shown[row["item_id"]], wanted) for row in given)


def _shown(connection: sa.Connection, numbers: Sequence[int]) -> dict[int, list[Any]]:
    """Return items' completions in their stored order."""
    found: dict[int, list[Any]] = {}
    for row in connection.execute(_SHOWN, {"items": numbers}):
        found.setdefault(row.item_id, []).append(row)
    return found


def _records(given: Mapping[Any, Any], stored: Sequence[Any], wanted: Wanted) -> Iterator[PairVote]:
    """Return a record for each pair that a verdict compares, A being the one that was shown first."""
    shown = [stored[int(place)] for place in given["shown"]]
    shared = _shared(given, stored[0].history or [], wanted)
    ranked = len(shown) > 2
    for number, (i, j, outcome) in enumerate(comparisons(given["verdict"], len(shown)), 1):
        names = {shown[i].contender, shown[j].contender}
        if wanted.between is None or names == wanted.between:
            answers = {
                side: {"contender": shown[n].contender, "text": shown[n].text} for side, n in (("a", i), ("b", j))
            }
            about = {"id": f"{shared['id']}-{number}", "strength": None} if ranked else {}
            yield PairVote.model_validate(shared | about | answers | {"verdict": VERDICTS.get(outcome, outcome)})


def _shared(given: Mapping[Any, Any], history: list[dict[str, str]], wanted: Wanted) -> dict[str, Any]:
    """Return what all records of one verdict have in common."""
    about = f"-{given['criterion']}" if wanted.name_criterion else ""
    who = pseudonym(given["labeller"], wanted.salt)
    turns = [Message.model_validate(turn) for turn in history]
    return {
        **{name: given[name] for name in ("category", "prompt_id", "criterion", "reason", "created_at")},
        "id": f"task-{given['task_id']}-vote-{given['vote_id']}{about}",
        "prompt": last_message(given["prompt"], turns),
        "history": turns,
        "labeller": who.replace("labeller", "simulated") if given["simulated"] else who,
        "automatic": given["simulated"],
        "strength": given["strength"],
    }
