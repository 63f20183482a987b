"""Intervals for statistics of sums, such as κ and α, by resampling clusters."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rlhf_core.evaluation.statistics import LEVEL, Estimate
from rlhf_core.evaluation.statistics.changes import MIN_BOOTSTRAP

Floats = NDArray[np.float64]
RESAMPLES = 2000
CELLS = 5_000_000
"""How many numbers the resamples of one batch may hold."""


def cluster_estimate(
    value: float, sums: Floats, statistic: Callable[[Floats], Floats], n: int, unit: str = "prompts"
) -> Estimate:
    """Return `value` with the BCa bootstrap interval (Efron 1987) of a statistic of totals, clusters drawn with replacement.

    For few clusters the level is widened, α/2 = Φ(−√(G/(G−1))·t_{G−1}) (Hesterberg 2015). With fewer than ten clusters, or
    where every resample gives the same, there is no interval: its ends are −∞ and ∞, and `method` says why.

    Args:
        sums: (cluster, column), each cluster's contribution to the totals.
        statistic: maps totals (…, column) to values (…).
        n: how many observations the clusters hold.
        unit: what a cluster is, in the plural.
    """
    groups = len(sums)
    if groups < MIN_BOOTSTRAP:
        return Estimate(value, -inf, inf, n, groups, f"none: fewer than {MIN_BOOTSTRAP} {unit}")
    left_out = statistic(sums.sum(axis=0) - sums)
    if np.ptp(left_out) <= 1e-12:
        return Estimate(value, -inf, inf, n, groups, f"none: no difference between {unit}")
    low, high = _bca(sums, statistic)
    if not low < high:
        return Estimate(value, -inf, inf, n, groups, f"none: the resamples of {unit} are too much alike")
    return Estimate(value, low, high, n, groups, f"BCa bootstrap, {RESAMPLES} resamples of {unit}")


def _bca(sums: Floats, statistic: Callable[[Floats], Floats]) -> tuple[float, float]:
    """Means are rounded, so that resamples which tie with the data tie in any arithmetic."""
    groups = len(sums)
    tail = stats.norm.cdf(-sqrt(groups / (groups - 1)) * stats.t.ppf((1 + LEVEL) / 2, groups - 1))
    result = stats.bootstrap(
        tuple(sums.T),
        lambda *columns, axis: np.round(statistic(np.stack([c.sum(axis=axis) for c in columns], axis=-1)), 12),
        n_resamples=RESAMPLES,
        batch=max(1, CELLS // sums.size),
        paired=True,
        vectorized=True,
        confidence_level=float(1 - 2 * tail),
        method="BCa",
        rng=np.random.default_rng(0),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)
