"""Intervals by resampling clusters: against Student's t where that is exact, and where there is none."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from rlhf_core.evaluation.resampling import Floats, cluster_estimate
from rlhf_core.evaluation.statistics import bootstrap


def mean(totals: Floats) -> Floats:
    """The mean of sums (…, 2): a total, and a count."""
    return totals[..., 0] / totals[..., 1]


def sums(values: np.ndarray) -> Floats:
    return np.column_stack([values, np.ones(len(values))])


def test_the_interval_of_a_mean_is_near_students():
    # 25 evenly spaced values from −12 to 12: V = 1300/(24·25), half width t₂₄·√V = 2.0639·1.47196 = 3.038
    estimate = cluster_estimate(0.0, sums(np.arange(-12.0, 13.0)), mean, 25)
    assert (estimate.low, estimate.high) == pytest.approx((-3.038, 3.038), rel=0.08)  # resampling noise of 2000 draws
    assert (estimate.value, estimate.n, estimate.clusters) == (0, 25, 25)
    assert estimate.method == "BCa bootstrap, 2000 resamples of prompts"


def test_few_clusters_are_given_more_room():
    # Twelve values −11, −9 … 11: s² = 52, t₁₁·√(52/12) = 2.201·2.0817 = 4.582; the plain bootstrap's z·√(11/12) is 0.85 of it.
    estimate = cluster_estimate(0.0, sums(np.arange(-11.0, 12.0, 2.0)), mean, 12)
    assert (estimate.high - estimate.low) / 2 == pytest.approx(4.582, rel=0.06)


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch):
    values = sums(np.arange(30.0) ** 2)
    whole = cluster_estimate(0.0, values, mean, 30)
    monkeypatch.setattr(bootstrap, "CELLS", 1)
    assert cluster_estimate(0.0, values, mean, 30) == whole


def test_clusters_that_are_alike_alone_may_differ_together():
    # The rarer kind's share, four of one and eight of the other: 0 in a cluster alone, 1/3 in all, 3/11 or 4/11 without one.
    kinds = np.eye(2)[[0] * 4 + [1] * 8]
    estimate = cluster_estimate(1 / 3, kinds, lambda t: t.min(axis=-1) / t.sum(axis=-1), 12)
    assert 0 <= estimate.low < 1 / 3 < estimate.high <= 0.5


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.arange(9.0), "none: fewer than 10 labellers"),
        (np.ones(10), "none: no difference between labellers"),
    ],
)
def test_where_nothing_can_be_resampled_the_interval_is_unbounded(values: np.ndarray, reason: str):
    estimate = cluster_estimate(0.5, sums(values), mean, len(values), "labellers")
    assert (estimate.value, estimate.low, estimate.high, estimate.method) == (0.5, -inf, inf, reason)


def test_resamples_that_are_too_much_alike_have_no_interval():
    # A statistic that no resample of whole clusters moves, though leaving one out does: it looks at the number of clusters only.
    estimate = cluster_estimate(0.0, sums(np.arange(12.0)), lambda t: np.where(t[..., 1] < 12, t[..., 0], 1.0), 12)
    assert (estimate.low, estimate.high) == (-inf, inf)
    assert estimate.method == "none: the resamples of prompts are too much alike"
