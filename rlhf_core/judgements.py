"""What `rlhf task export --format votes` does: each judgement as a record that other projects' formats are written from."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rlhf_core.data.exchange.format import counted
from rlhf_core.data.io import replacing
from rlhf_core.data.records import PairVote
from rlhf_core.errors import DataError
from rlhf_core.feedback.pair_votes import VoteCounts, Wanted
from rlhf_core.feedback.records import TaskInfo
from rlhf_core.feedback.store import VoteStore
from rlhf_core.judging import checked_criteria


@dataclass(frozen=True)
class Judgements:
    """Which judgements `export_votes` takes.

    Attributes:
        criterion: on this one; None: on each of the task's, a record for each.
        between: on these two contenders; None: on all.
        simulated: those that no person gave, instead of people's.
    """

    criterion: str | None = None
    between: tuple[str, str] | None = None
    simulated: bool = False


@dataclass(frozen=True)
class ExportedVotes:
    """What `export_votes` wrote: `rows`, of one criterion or several; `counts` says which votes there are."""

    rows: int
    criteria: tuple[str, ...]
    ranked: bool
    counts: VoteCounts
    simulated: bool

    def describe(self) -> list[str]:
        """Return what is to be said of it, in lines for people."""
        others = f"{self.counts.people:,} by people" if self.simulated else f"{self.counts.simulated:,} simulated"
        golds, repeats = f"{self.counts.golds:,} on gold items", counted(self.counts.repeats, "hidden repeats")
        lines = [f"left out: {golds}, {repeats}, {others}"]
        if self.ranked:
            lines.append("one for each pair of a ranking: such pairs are not independent of each other")
        if len(self.criteria) > 1:
            lines.append(
                f"on {', '.join(self.criteria)}: formats without criteria mix them; --criterion takes one alone"
            )
        return lines


def export_votes(database: Path | str, task_id: int, out: Path, which: Judgements = Judgements()) -> ExportedVotes:
    """Write every judgement in force as a `PairVote`, in the order they were given, one in memory at a time.

    It says whose answer A and B were and how they were judged; of a person only a pseudonym, another in every export.
    Votes on gold items and hidden repeats are never exported.

    Raises:
        DataError: an unknown criterion or contender, or there is nothing to export.
    """
    with closing(VoteStore(database)) as store:
        info = store.task(task_id)
        criteria = checked_criteria(info, which.criterion)
        wanted = Wanted(
            task=task_id,
            criteria=criteria,
            name_criterion=len(info.criteria) > 1,
            simulated=which.simulated,
            between=_checked_pair(info, which.between),
            salt=secrets.token_bytes(16),
        )
        counts = store.count_votes(task_id)
        rows = _write_votes(out, store.pair_votes(wanted), _nothing(task_id, which, counts))
    return ExportedVotes(rows, criteria, info.form == "ranking", counts, which.simulated)


def _write_votes(out: Path, records: Iterable[PairVote], nothing: DataError) -> int:
    rows = 0
    with replacing(out) as file:
        for record in records:
            file.write(record.model_dump_json(exclude_none=True).encode() + b"\n")
            rows += 1
        if not rows:
            raise nothing
    return rows


def _nothing(task_id: int, which: Judgements, counts: VoteCounts) -> DataError:
    """What is said when there is nothing to export."""
    kind, others = ("simulated", counts.people) if which.simulated else ("people's", counts.simulated)
    between = f" between {' and '.join(which.between)}" if which.between else ""
    remedy = "Judge some items first"
    if others:
        remedy = (
            "Leave out --simulated to take people's" if which.simulated else "--simulated takes those no person gave"
        )
    return DataError(f"no {kind} votes{between} to export", where=f"task {task_id}", remedy=remedy)


def _checked_pair(info: TaskInfo, between: tuple[str, str] | None) -> frozenset[str] | None:
    if between is None:
        return None
    if len(set(between)) < 2 or not set(between) <= set(info.contenders):
        raise DataError(
            "expected two contenders of the task", value=between, remedy=f"It compares {', '.join(info.contenders)}"
        )
    return frozenset(between)
