"""Verdicts of a language model that judges pairs of answers: kept in files of its own, counted apart, never among votes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from rlhf_core.data.records import Id, Name, Record
from rlhf_core.evaluation.statistics import OUTCOMES, Estimate, accuracy_interval

Outcome = Literal["contender", "baseline", "tie", "both_bad"]
Side = Literal["baseline", "contender"]
Said = Literal["A", "B", "tie", "both bad"]
SCORES = {"contender": 1.0, "baseline": 0.0, "tie": 0.5, "both_bad": 0.5}
Shown = Mapping[tuple[str, str], str]
"""What was shown, by prompt id and contender."""


@dataclass(frozen=True)
class Pair:
    """Two answers to one prompt, the baseline's and the contender's."""

    prompt_id: str
    prompt: str
    category: str
    baseline: str
    contender: str
    texts: tuple[str, str]

    @property
    def key(self) -> str:
        """What tells these very texts from others that the same contenders may write."""
        return text_key(*self.texts)


class Reading(Record):
    """What the judge said of a pair in one order: whose answer was A, its verdict (None: none in the form asked for), and
    everything it wrote."""

    first: Side
    said: Said | None
    answer: str

    @property
    def outcome(self) -> str | None:
        """The verdict in terms of the contenders."""
        if self.said in ("A", "B"):
            other: Side = "contender" if self.first == "baseline" else "baseline"
            return self.first if self.said == "A" else other
        return "both_bad" if self.said == "both bad" else self.said


class AutoVerdict(Record):
    """The judge's verdict on one pair, from both orders: a side wins only where it wins in both."""

    pair: str
    prompt_id: Id
    category: Name = ""
    baseline: Name
    contender: Name
    criterion: Name
    readings: list[Reading] = Field(min_length=2, max_length=2)

    @property
    def clear(self) -> bool:
        """Whether both readings hold a verdict."""
        return all(reading.said for reading in self.readings)

    @property
    def stands(self) -> bool:
        """Whether the verdict is the same in both orders."""
        return self.clear and self.readings[0].outcome == self.readings[1].outcome

    @property
    def outcome(self) -> str | None:
        """The verdict; a tie where it depends on the order, None where a reading holds none."""
        if not self.clear:
            return None
        return self.readings[0].outcome if self.stands else "tie"


@dataclass(frozen=True)
class AutoJudged:
    """What one judge says of one comparison on one criterion.

    Attributes:
        items: those with a verdict; `unclear` are those where an answer holds none in the form asked for.
        outcomes: items by outcome; `swayed` of the ties are verdicts that changed with the order.
        win_rate: the contender's mean score (win 1, tie and both bad ½, loss 0); None without items.
        stands: share of items with the same verdict in both orders.
        first: share of the readings that chose a side in which that was the answer shown first; ½ means no pull.
    """

    baseline: str
    contender: str
    criterion: str
    items: int
    unclear: int
    outcomes: dict[str, int]
    swayed: int
    win_rate: Estimate | None
    stands: Estimate | None
    first: Estimate | None


def text_key(baseline: str, contender: str) -> str:
    """Return the first 16 hex digits of the SHA-256 of two texts in their order."""
    return hashlib.sha256(json.dumps([baseline, contender]).encode()).hexdigest()[:16]


def summarise_verdicts(verdicts: Sequence[AutoVerdict]) -> tuple[AutoJudged, ...]:
    """Count the verdicts of one judge on each comparison and criterion; intervals are clustered by prompt."""
    groups: dict[tuple[str, str, str], list[AutoVerdict]] = {}
    for one in verdicts:
        groups.setdefault((one.baseline, one.contender, one.criterion), []).append(one)
    return tuple(_summary(*names, rows) for names, rows in groups.items())


def pairs_of(texts: Mapping[int, Mapping[str, Any]], contenders: Iterable[str]) -> list[Pair]:
    """Return the pairs that a task's items show (`VoteStore.texts()`), every two of a ranking; gold items are left out."""
    names = set(contenders)
    return [
        Pair(item["prompt_id"], item["prompt"], item["category"], *sides, (item["texts"][sides[0]], item["texts"][sides[1]]))
        for item in texts.values()
        for sides in combinations([name for name in item["texts"] if name in names], 2)
    ]  # fmt: skip


def choices(agreed: pd.DataFrame, verdicts: Iterable[AutoVerdict], shown: Shown) -> pd.DataFrame:
    """Return `item_id`, `criterion` and the judge's `outcome` of those items of a consensus whose very texts it judged.

    `shown` are the texts that people saw: a verdict on others, or without a verdict, is not one on these.
    """
    known = {}
    for one in verdicts:
        if (outcome := one.outcome) is not None:
            ours, theirs = (one.prompt_id, one.baseline, one.contender), (one.prompt_id, one.contender, one.baseline)
            known[(*ours, one.criterion)] = one.pair, False, outcome
            known.setdefault((*theirs, one.criterion), (one.pair, True, outcome))
    rows = [
        {"item_id": row["item_id"], "criterion": row["criterion"], "outcome": outcome}
        for row in agreed.to_dict("records")
        if (outcome := _known_outcome(row, known, shown)) is not None
    ]
    return pd.DataFrame(rows, columns=["item_id", "criterion", "outcome"])


def _known_outcome(row: Mapping[Any, Any], known: Mapping[Any, tuple[str, bool, str]], shown: Shown) -> str | None:
    prompt, sides = row["prompt_id"], (row["baseline"], row["contender"])
    found = known.get((prompt, *sides, row["criterion"]))
    baseline, contender = (shown.get((prompt, name)) for name in sides)
    if found is None or baseline is None or contender is None:
        return None
    pair, turned, outcome = found
    if pair != (text_key(contender, baseline) if turned else text_key(baseline, contender)):
        return None
    return {"contender": "baseline", "baseline": "contender"}.get(outcome, outcome) if turned else outcome


def _summary(baseline: str, contender: str, criterion: str, rows: Sequence[AutoVerdict]) -> AutoJudged:
    clear = [row for row in rows if row.clear]
    outcomes = [str(row.outcome) for row in clear]
    prompts = [row.prompt_id for row in clear]
    decided = [(row.prompt_id, one.said == "A") for row in clear for one in row.readings if one.said in ("A", "B")]
    return AutoJudged(
        baseline=baseline,
        contender=contender,
        criterion=criterion,
        items=len(clear),
        unclear=len(rows) - len(clear),
        outcomes={name: outcomes.count(name) for name in OUTCOMES},
        swayed=sum(not row.stands for row in clear),
        win_rate=_share([SCORES[name] for name in outcomes], prompts),
        stands=_share([row.stands for row in clear], prompts),
        first=_share([chosen for _, chosen in decided], [prompt for prompt, _ in decided]),
    )


def _share(values: Sequence[float | bool], prompts: Sequence[str]) -> Estimate | None:
    return accuracy_interval(np.asarray(values, dtype=float), np.asarray(prompts)) if values else None
