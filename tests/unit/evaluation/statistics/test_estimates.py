"""Estimates: each against a value worked out by hand, coverage by simulation, and every refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import inf, nan, sqrt

import numpy as np
import pytest

from rlhf_core.errors import DataError
from rlhf_core.evaluation.statistics import (
    McNemar,
    accuracy_interval,
    mcnemar_exact,
    outcome_shares,
    paired_difference,
    position_bias,
    win_rate,
    win_rate_by,
)
from tests.vote_factory import vote_frame

W, L, T, B = "contender", "baseline", "tie", "both_bad"
T_3, T_7 = 3.182446, 2.364624  # two-sided 95% points of Student's t with 3 and 7 degrees of freedom
Z = 1.959964


def ends(estimate) -> tuple[float, float]:
    return estimate.low, estimate.high


def test_win_rate_of_independent_votes_is_the_t_interval():
    # Scores 1 1 1 0 0 0 ½ ½: mean ½; squared deviations 6·¼ = 1.5; V = 1.5/(8·7); half width t₇·√V = 0.38701
    estimate = win_rate(vote_frame([W, W, W, L, L, L, T, B]))
    assert estimate.value == 0.5
    assert ends(estimate) == pytest.approx((0.5 - T_7 * sqrt(1.5 / 56), 0.5 + T_7 * sqrt(1.5 / 56)), abs=1e-6)
    assert (estimate.n, estimate.clusters, estimate.level) == (8, 8, 0.95)
    assert estimate.method == "cluster-robust t, by prompt"


def test_win_rate_clusters_by_prompt():
    # Prompts p: 1 1 0, q: 1 0 0, r: ½ ½, s: 1 0: mean ½, cluster residual sums ½ −½ 0 0, n = 10.
    # V = 4/3 · (¼ + ¼)/100 = 1/150; half width t₃/√150 = 0.25984. As ten single votes: t₉·√(2/90) = 0.337.
    frame = vote_frame([W, W, L, W, L, L, T, T, W, L], prompts=list("pppqqqrrss"))
    estimate = win_rate(frame)
    assert ends(estimate) == pytest.approx((0.5 - T_3 / sqrt(150), 0.5 + T_3 / sqrt(150)), abs=1e-6)
    assert (estimate.n, estimate.clusters) == (10, 4)


def test_win_rate_takes_the_wider_of_prompts_and_labellers():
    # Four prompts × four labellers; ana and ben always prefer the contender's answer but once, cy and dan mirror them.
    # By prompt every column sums to 2 of 4 (no spread at all); by labeller: sums 4 3 1 0, residuals 2 1 −1 −2.
    # V = 4/3 · (4+1+1+4)/16² = 0.0520833; t₃·√V = 0.7263 leaves 0…1, so Wilson with ¼/V = 4.8 votes at t₃:
    # (½ + t²/9.6)/(1 + t²/4.8) = ½ ± √(t²·¼/4.8 + t⁴/(4·4.8²))/(1 + t²/4.8) = ½ ± 0.41181
    rows = {"ana": [W, W, W, W], "ben": [W, W, W, L], "cy": [L, L, L, W], "dan": [L, L, L, L]}
    outcomes = [outcome for row in rows.values() for outcome in row]
    frame = vote_frame(outcomes, prompts=list("pqrs") * 4, labellers=[name for name in rows for _ in range(4)])
    estimate = win_rate(frame)
    squared = T_3**2 / 4.8
    half = sqrt(squared / 4 + squared**2 / 4) / (1 + squared)
    assert half == pytest.approx(0.41181, abs=1e-4)
    assert ends(estimate) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-6)
    assert estimate.method == "Wilson, cluster-robust, by labeller"
    assert estimate.clusters == 4


def test_two_labellers_say_nothing_about_other_labellers():
    # t with one degree of freedom multiplies by 12.7: a second labeller must not blow the interval up.
    frame = vote_frame([W, L, T, W, L, W, L, T] * 2, prompts=list("pqrstuvw") * 2, labellers=["ana"] * 8 + ["ben"] * 8)
    assert win_rate(frame).method == "cluster-robust t, by prompt"


@pytest.mark.parametrize(("outcome", "value"), [(W, 1.0), (L, 0.0)])
def test_all_the_same_outcome_still_has_an_interval(outcome: str, value: float):
    # Wilson at 10 of 10: low = n/(n + z²) = 10/13.8415 = 0.72247, high = 1; at 0 of 10 mirrored.
    estimate = win_rate(vote_frame([outcome] * 10))
    far = 10 / (10 + Z**2)
    assert estimate.value == value
    assert ends(estimate) == pytest.approx((far, 1.0) if value else (0.0, 1 - far), abs=1e-6)
    assert estimate.method == "Wilson, one observation per cluster, by prompt"


def test_all_ties_still_have_an_interval():
    # Wilson at ½ with n = 4: ½ ± (√(z²/16 + z⁴/64))/(1 + z²/4) = ½ ± 0.34996
    estimate = win_rate(vote_frame([T] * 4))
    half = sqrt(Z**2 / 16 + Z**4 / 64) / (1 + Z**2 / 4)
    assert half == pytest.approx(0.34996, abs=1e-5)
    assert ends(estimate) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-6)


def test_many_votes_on_one_prompt_count_as_one():
    # One prompt, 50 wins: Wilson at 1 of 1, low = 1/(1 + z²) = 0.20655
    estimate = win_rate(vote_frame([W] * 50, prompts=["p"] * 50))
    assert ends(estimate) == pytest.approx((1 / (1 + Z**2), 1.0), abs=1e-6)
    assert (estimate.n, estimate.clusters) == (50, 1)


def test_two_prompts_fall_back_to_wilson():
    # 1 of 2: ½ ± √(z²/8 + z⁴/16)/(1 + z²/2) = ½ ± 0.40547
    estimate = win_rate(vote_frame([W, L]))
    assert ends(estimate) == pytest.approx((0.5 - 0.40547, 0.5 + 0.40547), abs=1e-5)


def test_near_the_edge_the_interval_stays_inside():
    # 2 of 3: V = 3/2 · (1/9 + 1/9 + 4/9)/9 = 1/9, t₂·√V = 4.30265/3 leaves 0…1; effective n = (2/9)/(1/9) = 2; Wilson
    # at t₂: s = t₂²/2 = 9.25641, centre (2/3 + s/2)/(1 + s) = 0.51625, half √(s·2/9 + s²/4)/(1 + s) = 0.47242
    estimate = accuracy_interval([1, 1, 0])
    assert ends(estimate) == pytest.approx((0.51625 - 0.47242, 0.51625 + 0.47242), abs=1e-4)
    assert estimate.method == "Wilson, cluster-robust"


def test_outcome_shares_keep_ties_and_both_bad_apart():
    shares = outcome_shares(vote_frame([W, W, W, L, L, T, B, B]))
    assert {name: share.value for name, share in shares.items()} == {W: 3 / 8, L: 2 / 8, T: 1 / 8, B: 2 / 8}
    assert all(0 <= share.low < share.value < share.high <= 1 for share in shares.values())


def test_an_outcome_nobody_chose_has_an_upper_end():
    # Wilson at 0 of 6: high = z²/(6 + z²) = 0.39033
    assert ends(outcome_shares(vote_frame([W, L, W, L, T, T]))[B]) == pytest.approx((0.0, 0.39033), abs=1e-5)


def test_position_bias_is_the_share_that_side_a_won():
    # Contender on a a b b b: outcomes W (A won), L (B), W (B), L (A), L (A); the tie does not count: 3 of 5.
    frame = vote_frame([W, L, W, L, L, T]).assign(contender_side=list("aabbba"))
    bias = position_bias(frame)
    assert bias is not None
    assert (bias.value, bias.n) == (0.6, 5)


def test_position_bias_of_undecided_votes_is_none():
    assert position_bias(vote_frame([T, B, T])) is None


def test_win_rate_by_category():
    frame = vote_frame([W, W, L, T]).assign(category=["honest", "harmless", "honest", "harmless"])
    rates = win_rate_by(frame, "category")
    assert [(name, rate.value, rate.n) for name, rate in rates.items()] == [("harmless", 0.75, 2), ("honest", 0.5, 2)]


def test_accuracy_without_clusters_takes_each_value_alone():
    assert accuracy_interval([1, 0, 1, 0, 1]) == accuracy_interval([1, 0, 1, 0, 1], list("vwxyz"))


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


def test_paired_differences_cover_95_percent():
    # 400 runs: three standard errors are 0.033.
    rng = np.random.default_rng(5)
    covered = 0
    for seed in range(400):
        estimate = paired_difference(np.zeros(24), rng.normal(1.0, 2.0, 24), bootstrap=500, seed=seed)
        covered += estimate.low <= 1.0 <= estimate.high
    assert covered / 400 == pytest.approx(0.95, abs=0.033)


FRAME = vote_frame([W, L])


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (FRAME.iloc[:0], "votes: no votes to count. Judge some pairs first"),
        (FRAME.drop(columns=["score"]), r"votes: columns are missing \(found \['score'\]\)"),
        (FRAME.assign(outcome=["contender", "won"]), r"votes: unknown outcomes \(found \['won'\]\).*both_bad"),
        (FRAME.assign(simulated=[True, False]), r"several values of `simulated` in one estimate.*never pooled"),
        (FRAME.assign(baseline=["base", "sft"]), r"several values of `baseline`.*\['base', 'sft'\]"),
        (FRAME.assign(contender=["sft", "tuned"]), "several values of `contender`"),
    ],
)
@pytest.mark.parametrize("estimate", [win_rate, outcome_shares, position_bias])
def test_votes_that_cannot_be_counted_are_refused(estimate: Callable, frame, message: str):
    with pytest.raises(DataError, match=message):
        estimate(frame)


def test_a_slice_by_an_unknown_column_is_refused():
    with pytest.raises(DataError, match=r"columns are missing \(found \['topic'\]\)"):
        win_rate_by(FRAME, "topic")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: accuracy_interval([]), r"no values: expected a list of numbers \(found \[0\]\)"),
        (lambda: accuracy_interval([1, nan]), "1 of 2 values are missing or infinite. Leave those rows out"),
        (lambda: accuracy_interval([0, 2]), r"a share needs values from 0 to 1 \(found \[0.0, 2.0\]\)"),
        (lambda: accuracy_interval([0, 1], ["p"]), r"lengths differ: .*\(found \[2, 1\]\)"),
        (lambda: accuracy_interval([0, 1], np.array(["p", None])), r"some cluster labels are missing \(found 1\)"),
        (lambda: paired_difference([], []), "no values before"),
        (lambda: paired_difference([1], [inf]), "1 of 1 values after are missing or infinite"),
        (lambda: paired_difference([1, 2], [1]), "lengths differ"),
        (lambda: mcnemar_exact([0, 1], [0, 0.7]), "McNemar's test compares yes/no values. Apply a threshold first"),
        (lambda: mcnemar_exact([0, 1], [0]), "lengths differ"),
    ],
)
def test_numbers_that_cannot_be_used_are_refused(call: Callable, message: str):
    with pytest.raises(DataError, match=message):
        call()
