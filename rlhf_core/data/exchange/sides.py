"""Votes with each contender's answers on one side, for files whose sides are contenders and not what a judge saw first."""

from __future__ import annotations

from collections.abc import Sequence

from rlhf_core.data.records import PairVote
from rlhf_core.errors import DataError

SWAPPED = {"a": "b", "b": "a"}


def by_name(vote: PairVote) -> PairVote:
    """Return a vote with its contenders in the order of their names, and the verdict to match."""
    if vote.a.contender <= vote.b.contender:
        return vote
    verdict = SWAPPED.get(vote.verdict, vote.verdict)
    return vote.model_copy(update={"a": vote.b, "b": vote.a, "verdict": verdict})


def two_contenders(votes: Sequence[PairVote], tool: str) -> list[str]:
    """Return the names of the two contenders that all votes are on, in order.

    Raises:
        DataError: there are not two; says which tool asks for them.
    """
    names = sorted({side.contender for vote in votes for side in (vote.a, vote.b)})
    if len(names) != 2:
        raise DataError(f"{tool} compares two models", value=names, remedy="Export the votes on two contenders")
    return names
