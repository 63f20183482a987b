"""Intervals for statistics of sums, such as κ and α, by resampling clusters."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import numpy as np
from numpy.typing import NDArray

from rlhf_core.evaluation.statistics import Estimate
from rlhf_core.evaluation.statistics.bootstrap import MIN_CLUSTERS, RESAMPLES, bca_ends

Floats = NDArray[np.float64]


def cluster_estimate(
    value: float, sums: Floats, statistic: Callable[[Floats], Floats], n: int, unit: str = "prompts"
) -> Estimate:
    """Return `value` with the BCa bootstrap interval (`bootstrap.bca_ends`) of a statistic of totals.

    With fewer than ten clusters, or where every resample gives the same, there is no interval: its ends are −∞ and ∞, and
    `method` says why.

    Args:
        sums: (cluster, column), each cluster's contribution to the totals.
        statistic: maps totals (…, column) to values (…).
        n: how many observations the clusters hold.
        unit: what a cluster is, in the plural.
    """
    groups = len(sums)
    if groups < MIN_CLUSTERS:
        return Estimate(value, -inf, inf, n, groups, f"none: fewer than {MIN_CLUSTERS} {unit}")
    left_out = statistic(sums.sum(axis=0) - sums)
    if np.ptp(left_out) <= 1e-12:
        return Estimate(value, -inf, inf, n, groups, f"none: no difference between {unit}")
    low, high = bca_ends(sums, statistic)
    if not low < high:
        return Estimate(value, -inf, inf, n, groups, f"none: the resamples of {unit} are too much alike")
    return Estimate(value, low, high, n, groups, f"BCa bootstrap, {RESAMPLES} resamples of {unit}")
