"""The win rate at equal length: what is left of a preference when length is accounted for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import special

from rlhf_core.evaluation.statistics.checks import Codes, Floats, codes_of, has_columns, has_votes, numbers
from rlhf_core.evaluation.statistics.estimates import Estimate, t

ENOUGH = 10
"""Below this many prompts, or this many wins or losses, two coefficients are too many."""


@dataclass(frozen=True)
class AtEqualLength:
    """`share` of the decided votes that the contender would win at equal length; `slope` of the log odds per SD.

    `undecided` is the share of ties and both bad, which say nothing here. Where there is no estimate both are None and
    `problem` says why.
    """

    share: Estimate | None
    slope: Estimate | None
    undecided: float
    problem: str = ""


def length_controlled(votes: pd.DataFrame) -> AtEqualLength:
    """Estimate the contender's share of decided votes at equal length.

    Logistic regression of winning on the difference in length, log p/(1−p) = a + b·d/sd(d), over decided votes;
    `length_difference` is the contender's length less the baseline's, in any unit. Not centred: at d = 0 the share is
    1/(1 + e^−a), and its interval that of a, ± t_{G−1}·SE clustered by prompt (Liang & Zeger 1986) through the same
    curve, so it carries the error of b. The idea is Dubois et al. (2024), "Length-Controlled AlpacaEval", whose
    interval does not.

    Raises:
        DataError: as `win_rate`, or lengths are not there, missing or infinite.
    """
    has_votes(votes)
    has_columns(votes, ("length_difference",))
    decided = votes.loc[votes["outcome"].isin(["contender", "baseline"])]
    undecided = (len(votes) - len(decided)) / len(votes)
    if decided.empty:
        return AtEqualLength(None, None, undecided, "no vote is decided")
    won = (decided["outcome"].to_numpy(object) == "contender").astype(float)
    difference, prompts = numbers(decided["length_difference"], "lengths"), codes_of(decided["prompt_id"])
    if problem := _problem(won, difference, prompts):
        return AtEqualLength(None, None, undecided, problem)
    intercept, slope = _fit(won, difference / difference.std(), prompts)
    value, low, high = special.expit([intercept.value, intercept.low, intercept.high]).tolist()
    return AtEqualLength(replace(intercept, value=value, low=low, high=high), slope, undecided)


def _problem(won: Floats, difference: Floats, prompts: Codes) -> str:
    """Say in words why there can be no estimate, or nothing."""
    wins, losses = difference[won == 1], difference[won == 0]
    if min(len(wins), len(losses), len(np.unique(prompts))) < ENOUGH:
        return f"fewer than {ENOUGH} prompts, wins or losses"
    if np.ptp(difference) <= 1e-12 * np.abs(difference).max():
        return "all differences in length are the same"
    if wins.min() >= losses.max() or wins.max() <= losses.min():
        return "length alone decides every vote"
    return ""


def _fit(won: Floats, x: Floats, prompts: Codes) -> tuple[Estimate, Estimate]:
    """Return the intercept and the slope."""
    from statsmodels.discrete.discrete_model import Logit

    groups = len(np.unique(prompts))
    fit = Logit(won, np.column_stack([np.ones_like(x), x])).fit(
        disp=0, cov_type="cluster", cov_kwds={"groups": prompts, "use_correction": True}
    )
    half = t(groups - 1) * fit.bse
    method = "logistic regression, cluster-robust t, by prompt"
    intercept, slope = (
        Estimate(float(b), float(b - h), float(b + h), len(won), groups, method)
        for b, h in zip(fit.params, half, strict=True)
    )
    return intercept, slope
