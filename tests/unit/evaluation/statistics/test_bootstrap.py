"""The bootstrap: against SciPy's, which draws clusters one by one, and where all resamples lie on one side."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from scipy import stats

from rlhf_core.evaluation.statistics.bootstrap import bca_ends

T_39 = 2.022691  # two-sided 95% point of Student's t with 39 degrees of freedom


def ratio(totals: np.ndarray) -> np.ndarray:
    return totals[..., 0] / totals[..., 1]


@pytest.mark.parametrize("alike", [False, True])
def test_it_is_scipys_at_the_wider_level(alike: bool):
    # 40 skewed clusters of uneven sizes, all different, or of few kinds so that one draw stands for many clusters.
    rng = np.random.default_rng(3)
    sums, counts = rng.exponential(1.0, 40), rng.integers(1, 5, 40).astype(float)
    if alike:
        sums, counts = np.round(sums), np.minimum(counts, 2)
    level = 1 - 2 * stats.norm.cdf(-sqrt(40 / 39) * T_39)
    slow = stats.bootstrap(
        (sums, counts),
        lambda s, c, axis: s.sum(axis=axis) / c.sum(axis=axis),
        n_resamples=20_000, paired=True, vectorized=True, confidence_level=level, method="BCa", rng=rng,
    ).confidence_interval  # fmt: skip
    ends = bca_ends(np.column_stack([sums, counts]), ratio, resamples=20_000)
    assert ends == pytest.approx((slow.low, slow.high), abs=0.03 * (slow.high - slow.low))


def test_a_value_above_all_resamples_still_has_an_interval():
    # Of twenty different kinds no resample holds all: 20!/20²⁰ = 0.00000002 each.
    low, high = bca_ends(np.eye(20), lambda totals: (totals > 0).sum(axis=-1) + totals[..., 0] / 100, resamples=500)
    assert 10 < low <= high < 20
