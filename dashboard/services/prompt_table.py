"""The prompts of a comparison as rows to filter and sort: what was asked, what changed, what people said."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboard.services import wording
from dashboard.services.comparing import SCORE, Comparison
from dashboard.services.pair_votes import PairVotes
from rlhf_core.evaluation.prompt_votes import AGREE, DISAGREE, OPEN, UNJUDGED, by_prompt, same_choice

Mask = NDArray[np.bool_]
AGAINST = {AGREE: "agree", DISAGREE: "disagree", OPEN: "no side chosen", UNJUDGED: ""}
NO_CATEGORY = "none"


@dataclass(frozen=True)
class Filters:
    """What to keep; everything at first. A range is (low, high), both ends in, and leaves out what has no value.

    Attributes:
        votes: "judged", "unjudged", or an outcome most labellers chose: contender, baseline, tie, both_bad, split.
        against: AGREE, DISAGREE or OPEN, of people and the reward model.
    """

    categories: tuple[str, ...] = ()
    text: str = ""
    phrase: str = ""
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    votes: str = ""
    against: str = ""

    @property
    def by_outcome(self) -> bool:
        """Whether prompts are chosen by what came out, which moves every average over them."""
        return bool(self.phrase or self.ranges or self.votes or self.against)


@lru_cache(maxsize=16)
def prompt_table(compared: Comparison, votes: PairVotes | None, criterion: str) -> pd.DataFrame:
    """Return the comparison's rows with `votes` (how many), `win_rate`, `choice` and `against` ("" without). Not to be changed."""
    rows = compared.rows
    if votes is None:
        blank = np.full(len(rows), "", dtype=object)
        return rows.assign(votes=0, win_rate=np.nan, choice=blank, against=blank)
    said = by_prompt(votes.on(criterion)).reindex(rows["prompt_id"])
    choice = said["choice"].fillna("").to_numpy(object)
    scored = SCORE in compared.measures
    before, after = (rows[SCORE.column(side)] if scored else np.full(len(rows), np.nan) for side in ("before", "after"))
    return rows.assign(
        votes=said["votes"].fillna(0).to_numpy(np.int64),
        win_rate=said["win_rate"].to_numpy(float),
        choice=choice,
        against=same_choice(choice, before, after),
    )


def keep(table: pd.DataFrame, filters: Filters, compared: Comparison) -> Mask:
    """Return which rows of the comparison's table the filters leave."""
    kept = np.ones(len(table), dtype=bool)
    if filters.categories:
        kept &= table["category"].replace("", NO_CATEGORY).isin(filters.categories).to_numpy()
    if filters.text:
        columns = (
            table[name].str.contains(filters.text, case=False, regex=False) for name in ("prompt", "before", "after")
        )
        kept &= np.logical_or.reduce([column.to_numpy(bool) for column in columns])
    for column, (low, high) in filters.ranges.items():
        kept &= table[column].between(low, high).to_numpy()
    if filters.votes:
        judged = table["votes"].to_numpy() > 0
        named = {"judged": judged, "unjudged": ~judged}
        kept &= named[filters.votes] if filters.votes in named else (table["choice"] == filters.votes).to_numpy()
    if filters.against:
        kept &= (table["against"] == filters.against).to_numpy()
    if filters.phrase:
        kept &= compared.phrases.containing(filters.phrase)
    return kept


def kept_sentence(kept: Mask, filters: Filters, left_out: int) -> str:
    """Say how many prompts the filters leave, of how many."""
    n, total = int(kept.sum()), len(kept)
    lacking = f" {wording.count(left_out, 'prompt')} that only one of the two answered {'is' if left_out == 1 else 'are'} left out."
    lacking = lacking if left_out else ""
    if filters == Filters():
        return f"{wording.count(total, 'prompt')}, each answered by both.{lacking}"
    return f"{n:,} of {wording.count(total, 'prompt')} {'fits' if n == 1 else 'fit'} the filters.{lacking}"


def in_order(table: pd.DataFrame, column: str, descending: bool) -> pd.DataFrame:
    """Return the rows sorted by a column, those without a value last; equal ones keep their order."""
    return table.sort_values(column, ascending=not descending, kind="stable", na_position="last")


def terciles(values: NDArray[np.int64], noun: str) -> NDArray[np.object_]:
    """Return each value's third in words, such as `12 to 30 words`; equal values share one, so there may be fewer than three."""
    edges = np.unique(np.quantile(values, [1 / 3, 2 / 3], method="lower")) if len(values) else np.zeros(0)
    third = np.searchsorted(edges, values, side="left")
    named = np.empty(len(values), dtype=object)
    for one in np.unique(third):
        mine = values[third == one]
        low, high = int(mine.min()), int(mine.max())
        named[third == one] = f"{low} {noun}" if low == high else f"{low} to {high} {noun}"
    return named
