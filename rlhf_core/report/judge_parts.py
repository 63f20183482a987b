"""What a report holds of automatic judges: how they compare with people, and what language models say for themselves."""

from __future__ import annotations

from dataclasses import dataclass

from rlhf_core.evaluation.auto_judge import AutoJudged
from rlhf_core.evaluation.statistics import Estimate


@dataclass(frozen=True)
class Judge:
    """How an automatic judge's choices compare with what most people chose, on one criterion; `category` "" means all.

    Attributes:
        items: those that both judged; `unjudged` it did not judge, or has no scores for.
        agreement: share of items with the same outcome; `decided` the same where both chose a side.
        kappa: Cohen's κ; where it is None `problem` says why.
        confusion: items by people's outcome, then the judge's.
    """

    scorer: str
    measure: str
    criterion: str
    category: str
    items: int
    unjudged: int
    agreement: Estimate
    decided: Estimate | None
    kappa: Estimate | None
    problem: str | None
    confusion: dict[str, dict[str, int]]


@dataclass(frozen=True)
class AutoJudge:
    """A language model that judged pairs, which is no person: what it says of each comparison, and beside people's choices.

    `stale` are its verdicts on answers that have changed since; they are left out of everything else.
    """

    name: str
    judged: tuple[AutoJudged, ...]
    people: tuple[Judge, ...]
    stale: int
