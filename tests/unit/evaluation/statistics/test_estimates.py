"""Intervals of a mean over clusters: by hand, against slow matrices, by simulation, and every refusal."""

from __future__ import annotations

from collections.abc import Callable
from math import nan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlhf_core.errors import DataError
from rlhf_core.evaluation.statistics import Estimate, accuracy_interval, side_of_zero
from rlhf_core.evaluation.statistics.estimates import cluster_spread, crossed, crossed_spread

T_3 = 3.182446  # two-sided 95% point of Student's t with 3 degrees of freedom
Z = 1.959964


def ends(estimate: Estimate) -> tuple[float, float]:
    return estimate.low, estimate.high


def around_half(s: float) -> tuple[float, float]:
    """Wilson's ends around a mean of ½ for s = quantile²/n*: ½ ± √(s/4 + s²/4)/(1 + s) = ½ ± ½·√(s/(1 + s))."""
    return 0.5 - 0.5 * sqrt(s / (1 + s)), 0.5 + 0.5 * sqrt(s / (1 + s))


def test_yes_or_no_one_by_one_is_the_textbook_wilson_interval():
    # 3 of 5 at z: s = z²/5 = 0.76829, centre (0.6 + s/2)/(1 + s) = 0.55655, half √(0.24s + s²/4)/(1 + s) = 0.32584
    estimate = accuracy_interval([1, 0, 1, 0, 1])
    assert ends(estimate) == pytest.approx((0.55655 - 0.32584, 0.55655 + 0.32584), abs=2e-5)
    assert (estimate.n, estimate.clusters, estimate.level, estimate.method) == (
        5,
        5,
        0.95,
        "Wilson, under 50 yes/no values, by cluster",
    )
    assert [accuracy_interval([0, 1] * n).method for n in (24, 25)] == [estimate.method, "Wilson, by cluster"]
    assert estimate == accuracy_interval([1, 0, 1, 0, 1], list("vwxyz"))


def test_clusters_by_hand():
    # Four of two: 1 1 | 0 0 | ½ ½ | 1 0. Mean ½, residual sums 1 −1 0 0: V = 4/3·2/64 = 1/24, n* = ¼/V = 6, at t₃.
    estimate = accuracy_interval([1, 1, 0, 0, 0.5, 0.5, 1, 0], list("ppqqrrss"))
    assert ends(estimate) == pytest.approx(around_half(T_3**2 / 6), abs=1e-6)
    assert (estimate.n, estimate.clusters, estimate.method) == (8, 4, "Wilson, cluster-robust, by cluster")


def test_all_alike_still_has_an_interval():
    # Wilson at 10 of 10: low = n/(n + z²) = 10/13.8415, high = 1; at 0 of 10 mirrored. All ½: s = z²/4.
    far = 10 / (10 + Z**2)
    assert ends(accuracy_interval([1] * 10)) == pytest.approx((far, 1.0), abs=1e-6)
    assert ends(accuracy_interval([0] * 10)) == pytest.approx((0.0, 1 - far), abs=1e-6)
    halves = accuracy_interval([0.5] * 4)
    assert ends(halves) == pytest.approx(around_half(Z**2 / 4), abs=1e-6)
    assert halves.method == "Wilson, one observation each, by cluster"


def test_two_clusters_are_two_observations():
    assert ends(accuracy_interval([1, 1, 0, 0], list("ppqq"))) == pytest.approx(around_half(Z**2 / 2), abs=1e-6)


def spread_by_matrices(x: np.ndarray, codes: np.ndarray) -> tuple[float, float]:
    """V and ν from their definition: residuals are M·m for cluster means m, and V a quadratic form in them."""
    counts = np.bincount(codes)
    w = counts / len(x)
    m = np.bincount(codes, weights=x) / counts
    maker = np.eye(len(w)) - np.ones((len(w), 1)) * w  # m_g − Σ w_h m_h
    form = np.diag(w**2 / (1 - 2 * w + np.sum(w**2)))
    middle = maker.T @ form @ maker
    return float(m @ middle @ m), float(np.trace(middle) ** 2 / np.trace(middle @ middle))


@given(
    rows=st.lists(st.tuples(st.sampled_from([0, 0.5, 1]), st.integers(0, 5)), min_size=2, max_size=40).filter(
        lambda rows: len({cluster for _, cluster in rows}) > 1
    )
)
def test_spread_equals_its_matrices(rows: list[tuple[float, int]]):
    x = np.array([value for value, _ in rows])
    codes = np.unique([cluster for _, cluster in rows], return_inverse=True)[1]
    spread = cluster_spread(x, codes)
    assert (spread.variance, spread.freedom) == pytest.approx(spread_by_matrices(x, codes), abs=1e-12)


def test_equal_clusters_have_one_degree_of_freedom_less_than_there_are():
    assert cluster_spread(np.arange(12.0) / 12, np.repeat(np.arange(6), 2)).freedom == pytest.approx(5)


def test_uneven_clusters_have_a_variance_without_bias():
    # Cluster means with variance 1, sizes 1 2 3 10 of 16: Var(x̄) = Σw² = 114/256, whatever the draw of 20,000.
    rng, codes = np.random.default_rng(4), np.repeat(np.arange(4), [1, 2, 3, 10])
    found = [cluster_spread(rng.normal(size=4)[codes], codes).variance for _ in range(20_000)]
    assert np.mean(found) == pytest.approx(114 / 256, abs=4 * np.std(found) / sqrt(20_000))


def test_crossed_clusters_by_hand():
    # 8 labellers × 4 prompts; four always say yes, four only on the last two prompts: 24 of 32, mean ¾.
    # Prompt sums 4 4 8 8, residuals ∓2: V_p = 4/3·16/32² = 1/48. Labeller sums 4 or 2, residuals ±1:
    # V_l = 8/7·8/32² = 1/112. Single votes: Σ(x − ¾)² = 24/16 + 8·9/16 = 6, V_pl = 32/31·6/32² = 3/496.
    x = np.array([[1, 1, 1, 1]] * 4 + [[0, 0, 1, 1]] * 4, dtype=float).ravel()
    labellers, prompts = np.repeat(np.arange(8), 4), np.tile(np.arange(4), 8)
    spread = crossed_spread(x, prompts, labellers, crossed(prompts, labellers))
    variance = 1 / 48 + 1 / 112 - 3 / 496
    assert spread.variance == pytest.approx(variance)
    assert spread.freedom == pytest.approx(variance**2 / (1 / 48**2 / 3 + 1 / 112**2 / 7))
    assert crossed_spread(x, labellers, prompts, crossed(labellers, prompts)) == spread


def test_labellers_who_spread_like_single_votes_add_nothing():
    # Every labeller says yes to half of 4 prompts: V_l = 0, so the prompts' spread stands, with its 3 degrees.
    x = np.array([[1, 1, 0, 0], [1, 0, 1, 0]] * 4, dtype=float).ravel()
    labellers, prompts = np.repeat(np.arange(8), 4), np.tile(np.arange(4), 8)
    assert crossed_spread(x, prompts, labellers, crossed(prompts, labellers)) == cluster_spread(x, prompts)


def coverage(interval: Callable, groups: int, per_group: int, spread: float, runs: int = 1500) -> float:
    """Simulate votes with a random tilt per cluster around a true win rate of 0.55; return how often it is covered."""
    rng = np.random.default_rng(11)
    labels = np.repeat(np.arange(groups), per_group)
    covered = 0
    for _ in range(runs):
        chance = np.clip(0.55 + spread * rng.choice([-1, 1], groups), 0, 1)
        estimate = interval((rng.random(len(labels)) < chance[labels]).astype(float), labels)
        covered += estimate.low <= 0.55 <= estimate.high
    return covered / runs


@pytest.mark.parametrize(("groups", "per_group", "spread"), [(40, 1, 0.0), (40, 5, 0.4), (60, 3, 0.3)])
def test_intervals_cover_95_percent(groups: int, per_group: int, spread: float):
    # 1500 runs: the standard error of the coverage is √(0.95·0.05/1500) = 0.0056, so ±0.017 is three of them.
    assert coverage(accuracy_interval, groups, per_group, spread) == pytest.approx(0.95, abs=0.017)


def test_intervals_that_forget_the_prompts_do_not_cover():
    # Five votes on each of 40 prompts, tilt ±0.4: Var(x) = ¼ − 0.05² = 0.2475, covariance within a prompt 0.16, so the
    # mean's variance is 1 + 4·0.16/0.2475 = 3.6 times what independence says: 1.96/√3.6 = 1.03 sd covers 70%.
    assert coverage(lambda x, _: accuracy_interval(x), 40, 5, 0.4) == pytest.approx(0.70, abs=0.05)


@pytest.mark.parametrize(
    ("low", "high", "side"), [(0.1, 0.2, 1), (-0.2, -0.1, -1), (-0.1, 0.1, 0), (0.0, 0.1, 0), (None, 0.1, 0)]
)
def test_the_side_of_zero(low: float | None, high: float, side: int):
    assert side_of_zero(low, high) == side


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: accuracy_interval([]), r"no values: expected a list of numbers \(found \[0\]\)"),
        (lambda: accuracy_interval([1, nan]), "1 of 2 values are missing or infinite. Leave those rows out"),
        (lambda: accuracy_interval([0, 2]), r"a share needs values from 0 to 1 \(found \[0.0, 2.0\]\)"),
        (lambda: accuracy_interval([0, 1], ["p"]), r"lengths differ: .*\(found \[2, 1\]\)"),
        (lambda: accuracy_interval([0, 1], np.array(["p", None])), r"some cluster labels are missing \(found 1\)"),
    ],
)
def test_numbers_that_cannot_be_used_are_refused(call: Callable, message: str):
    with pytest.raises(DataError, match=message):
        call()
