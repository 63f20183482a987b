"""What votes say of one comparison: win rate, the share of each outcome, the pull of a side, slices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from rlhf_core.evaluation.statistics.checks import OUTCOMES, Codes, Floats, codes_of, has_columns, has_votes
from rlhf_core.evaluation.statistics.estimates import Estimate, crossed, crossed_spread, share_estimate, spread_of

MIN_LABELLERS = 8
"""Below this many labellers their spread is known too badly to speak for others, and the interval is for these alone."""


def win_rate(votes: pd.DataFrame) -> Estimate:
    """Estimate the contender's mean score (win 1, tie and both bad ½, loss 0), a share.

    Votes on one prompt are not independent, nor are those of one labeller. From eight labellers on, the interval is
    over prompts and labellers (`crossed_spread`): other prompts, judged by other labellers like these. With fewer it is
    over prompts alone (`spread_of`), and `method` says "for these labellers": it does not speak for others.

    Raises:
        DataError: no votes, columns missing, or votes of several comparisons, criteria, or kinds (human and simulated).
    """
    has_votes(votes)
    return _Design.of(votes).share(votes["score"].to_numpy(float))


def outcome_shares(votes: pd.DataFrame) -> dict[str, Estimate]:
    """Estimate the share of each outcome (contender, baseline, tie, both_bad) among all votes, as `win_rate` does.

    Raises:
        DataError: as `win_rate`.
    """
    has_votes(votes)
    design, outcomes = _Design.of(votes), votes["outcome"].to_numpy(object)
    return {outcome: design.share((outcomes == outcome).astype(float)) for outcome in OUTCOMES}


def position_bias(votes: pd.DataFrame) -> Estimate | None:
    """Estimate the share of decided votes that side A won; ½ means no bias. None when no vote is decided.

    Votes without sides, such as those of a ranking, do not count.

    Raises:
        DataError: as `win_rate`.
    """
    has_votes(votes)
    decided = votes.loc[votes["outcome"].isin(["contender", "baseline"]) & votes["contender_side"].isin(["a", "b"])]
    if decided.empty:
        return None
    contender_won = decided["outcome"].to_numpy(object) == "contender"
    contender_is_a = decided["contender_side"].to_numpy(object) == "a"
    return _Design.of(decided).share((contender_won == contender_is_a).astype(float))


def win_rate_by(votes: pd.DataFrame, column: str) -> dict[str, Estimate]:
    """Estimate the win rate within each value of `column` (such as "category"), in the order of the values.

    Each interval is a 95% one by itself: of twenty slices one is expected to miss.

    Raises:
        DataError: as `win_rate`, or `column` is not there.
    """
    has_votes(votes)
    has_columns(votes, (column,))
    return {str(name): win_rate(group) for name, group in votes.groupby(column, sort=True)}


@dataclass(frozen=True)
class _Design:
    """Who judged what: the prompt and the labeller of each vote, as numbers from 0."""

    prompts: Codes
    labellers: Codes

    @cached_property
    def cells(self) -> Codes:
        return crossed(self.prompts, self.labellers)

    @classmethod
    def of(cls, votes: pd.DataFrame) -> _Design:
        return cls(codes_of(votes["prompt_id"]), codes_of(votes["labeller"]))

    def share(self, x: Floats) -> Estimate:
        groups, people = int(self.prompts.max()) + 1, int(self.labellers.max()) + 1
        if people >= MIN_LABELLERS:
            spread = crossed_spread(x, self.prompts, self.labellers, self.cells)
            return share_estimate(x, spread, groups, "by prompt and by labeller")
        whom = "this labeller" if people == 1 else f"these {people} labellers"
        return share_estimate(x, spread_of(x, self.prompts), groups, f"by prompt, for {whom}")
