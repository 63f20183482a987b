"""Paired differences and McNemar's test: against values worked out by hand, coverage by simulation, and every refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import inf, sqrt

import numpy as np
import pytest

from rlhf_core.errors import DataError
from rlhf_core.evaluation.statistics import McNemar, mcnemar_exact, paired_difference

T_3 = 3.182446  # two-sided 95% point of Student's t with 3 degrees of freedom


def ends(estimate) -> tuple[float, float]:
    return estimate.low, estimate.high


def test_paired_difference_of_few_clusters_is_the_t_interval():
    # Differences 1 2 3 4: mean 2.5, sd √(5/3), half width t₃·√(5/3)/2 = 2.05427
    estimate = paired_difference([0, 0, 0, 0], [1, 2, 3, 4])
    half = T_3 * sqrt(5 / 3) / 2
    assert (estimate.value, *ends(estimate)) == pytest.approx((2.5, 2.5 - half, 2.5 + half), abs=1e-5)
    assert estimate.method == "cluster-robust t"


def test_paired_difference_is_after_minus_before():
    assert paired_difference([3, 3], [1, 2]).value == -1.5


def test_paired_difference_resamples_prompts():
    # 20 prompts, each measured five times alike. Resampling rows would make the interval √5 times too narrow.
    per_prompt = np.linspace(-1, 1, 20)
    once = paired_difference(np.zeros(20), per_prompt)
    often = paired_difference(np.zeros(100), np.repeat(per_prompt, 5), clusters=np.repeat(np.arange(20), 5))
    assert ends(often) == pytest.approx(ends(once), abs=1e-9)
    assert (often.n, often.clusters) == (100, 20)
    rows = paired_difference(np.zeros(100), np.repeat(per_prompt, 5))
    assert (once.high - once.low) / (rows.high - rows.low) == pytest.approx(sqrt(5), rel=0.15)


def test_paired_difference_bootstrap_is_near_t_for_symmetric_data():
    # 25 evenly spaced differences from −12 to 12: V = (Σ d²)/(24·25) = 1300/600, half width t₂₄·√V = 2.0639·1.47196
    estimate = paired_difference(np.zeros(25), np.arange(-12.0, 13.0))
    assert estimate.value == 0
    assert ends(estimate) == pytest.approx((-3.038, 3.038), rel=0.08)  # resampling noise of 2000 draws
    assert estimate.method == "BCa bootstrap, 2000 resamples of clusters"


def test_paired_difference_leans_towards_the_long_tail():
    # Ten large values among forty: the data could well have missed some, so the upper arm must be the longer one.
    estimate = paired_difference(np.zeros(40), np.array([0.0] * 30 + [10.0] * 8 + [40.0] * 2))
    assert estimate.high - estimate.value > 1.2 * (estimate.value - estimate.low)


def test_paired_difference_repeats_with_its_seed_only():
    after = np.arange(30.0) ** 2
    estimates = [paired_difference(np.zeros(30), after, seed=seed) for seed in (1, 1, 2)]
    assert estimates[0] == estimates[1]
    assert estimates[0].low != estimates[2].low


def test_paired_difference_that_never_varies_says_so():
    estimate = paired_difference([1, 2, 3], [1, 2, 3])
    assert (estimate.value, *ends(estimate)) == (0, 0, 0)
    assert estimate.method == "none: no difference between clusters"


def test_paired_difference_of_one_cluster_is_unbounded_and_still_json():
    estimate = paired_difference([0, 0], [1, 3], clusters=["p", "p"])
    assert (estimate.value, *ends(estimate)) == (2, -inf, inf)
    held = json.loads(json.dumps(estimate.as_json(), allow_nan=False))
    assert (held["value"], held["low"], held["high"], held["clusters"]) == (2.0, None, None, 1)


def test_mcnemar_counts_the_pairs_that_changed():
    # Six changed, one of them towards yes: p = 2·(C(6,0) + C(6,1))/2⁶ = 14/64
    before, after = [1, 1, 1, 1, 1, 0, 1, 0], [0, 0, 0, 0, 0, 1, 1, 0]
    result = mcnemar_exact(before, after)
    assert (result.n, result.only_before, result.only_after) == (8, 5, 1)
    assert result.p_value == pytest.approx(14 / 64)


def test_mcnemar_without_changes_is_certain_of_nothing():
    assert mcnemar_exact([True, False], [True, False]) == McNemar(2, 0, 0, 1.0)


def test_paired_differences_cover_95_percent():
    # 400 runs: three standard errors are 0.033.
    rng = np.random.default_rng(5)
    covered = 0
    for seed in range(400):
        estimate = paired_difference(np.zeros(24), rng.normal(1.0, 2.0, 24), bootstrap=500, seed=seed)
        covered += estimate.low <= 1.0 <= estimate.high
    assert covered / 400 == pytest.approx(0.95, abs=0.033)


@pytest.mark.parametrize(("carrying", "few"), [(9, True), (12, False)])
def test_a_difference_that_few_prompts_carry_says_so(carrying: int, few: bool):
    # c of 1000 prompts change by 1: (Σu²)²/Σu⁴ is c to within 1%, and ten are enough.
    estimate = paired_difference(np.zeros(1000), np.arange(1000) < carrying, bootstrap=100)
    assert estimate.method == "BCa bootstrap, 100 resamples of clusters" + ", resting on few" * few


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paired_difference([], []), "no values before"),
        (lambda: paired_difference([1], [inf]), "1 of 1 values after are missing or infinite"),
        (lambda: paired_difference([1, 2], [1]), "lengths differ"),
        (lambda: paired_difference([1, 2], [1, 2], ["p"]), "lengths differ"),
        (lambda: mcnemar_exact([0, 1], [0, 0.7]), "McNemar's test compares yes/no values. Apply a threshold first"),
        (lambda: mcnemar_exact([0, 1], [0]), "lengths differ"),
    ],
)
def test_pairs_that_cannot_be_used_are_refused(call: Callable, message: str):
    with pytest.raises(DataError, match=message):
        call()
