"""What votes say of one comparison: values by hand, whom an interval speaks for, and votes that are refused."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import pandas as pd
import pytest

from rlhf_core.errors import DataError
from rlhf_core.evaluation.statistics import outcome_shares, position_bias, win_rate, win_rate_by
from tests.vote_factory import vote_frame

W, L, T, B = "contender", "baseline", "tie", "both_bad"
T_7 = 2.364624  # two-sided 95% point of Student's t with 7 degrees of freedom
Z = 1.959964


def ends(estimate) -> tuple[float, float]:
    return estimate.low, estimate.high


def around_half(s: float) -> tuple[float, float]:
    """Wilson's ends around a mean of ½ for s = quantile²/n*: ½ ± ½·√(s/(1 + s))."""
    return 0.5 - 0.5 * sqrt(s / (1 + s)), 0.5 + 0.5 * sqrt(s / (1 + s))


def everyone(rows: list[list[str]]) -> pd.DataFrame:
    """Votes of labellers p0, p1, … (one row each) on the same prompts."""
    votes = [(vote, f"q{j}", f"p{i}") for i, row in enumerate(rows) for j, vote in enumerate(row)]
    outcomes, prompts, labellers = (list(column) for column in zip(*votes, strict=True))
    return vote_frame(outcomes, prompts=prompts, labellers=labellers)


def test_win_rate_of_independent_votes():
    # Scores 1 1 1 0 0 0 ½ ½: mean ½, squared deviations 6·¼ = 1.5, V = 1.5/(8·7): n* = ¼/V = 28/3, at t₇.
    estimate = win_rate(vote_frame([W, W, W, L, L, L, T, B]))
    assert estimate.value == 0.5
    assert ends(estimate) == pytest.approx(around_half(T_7**2 * 3 / 28), abs=1e-6)
    assert (estimate.n, estimate.clusters, estimate.level) == (8, 8, 0.95)
    assert estimate.method == "Wilson, cluster-robust, by prompt, for this labeller"


def test_many_votes_on_one_prompt_count_as_one():
    # One prompt, 50 wins: Wilson at 1 of 1, low = 1/(1 + z²) = 0.20655
    estimate = win_rate(vote_frame([W] * 50, prompts=["p"] * 50))
    assert ends(estimate) == pytest.approx((1 / (1 + Z**2), 1.0), abs=1e-6)
    assert (estimate.n, estimate.clusters) == (50, 1)


def test_few_labellers_speak_for_themselves():
    # By prompt two of four each time: no spread at all, so Wilson for 4 prompts. Labellers differ, but four say little.
    estimate = win_rate(everyone([[W] * 4, [W] * 4, [L] * 4, [L] * 4]))
    assert ends(estimate) == pytest.approx(around_half(Z**2 / 4), abs=1e-6)
    assert estimate.method == "Wilson, one observation each, by prompt, for these 4 labellers"


def test_eight_labellers_speak_for_others_like_them():
    # Four always for, four always against, on 4 prompts: V_p = 0, V_l = 8/7·8·2²/32² = 1/28, V_pl = 32/31·8/32² = 1/124.
    # V = max(V_p + V_l − V_pl, V_l) = 1/28 with 7 degrees of freedom: n* = ¼·28 = 7, at t₇.
    estimate = win_rate(everyone([[W] * 4] * 4 + [[L] * 4] * 4))
    assert ends(estimate) == pytest.approx(around_half(T_7**2 / 7), abs=1e-6)
    assert (estimate.clusters, estimate.method) == (4, "Wilson, cluster-robust, by prompt and by labeller")


def test_outcome_shares_keep_ties_and_both_bad_apart():
    shares = outcome_shares(vote_frame([W, W, W, L, L, T, B, B]))
    assert {name: share.value for name, share in shares.items()} == {W: 3 / 8, L: 2 / 8, T: 1 / 8, B: 2 / 8}
    assert all(0 <= share.low < share.value < share.high <= 1 for share in shares.values())


def test_an_outcome_nobody_chose_has_an_upper_end():
    # Wilson at 0 of 6: high = z²/(6 + z²) = 0.39033
    assert ends(outcome_shares(vote_frame([W, L, W, L, T, T]))[B]) == pytest.approx((0.0, 0.39033), abs=1e-5)


def test_position_bias_is_the_share_that_side_a_won():
    # Contender on a a b b b: outcomes W (A won), L (B), W (B), L (A), L (A); neither a tie nor a vote without sides counts.
    frame = vote_frame([W, L, W, L, L, T, W]).assign(contender_side=[*"aabbba", "none"])
    bias = position_bias(frame)
    assert bias is not None
    assert (bias.value, bias.n) == (0.6, 5)


def test_position_bias_of_undecided_votes_is_none():
    assert position_bias(vote_frame([T, B, T])) is None


def test_win_rate_by_category():
    frame = vote_frame([W, W, L, T]).assign(category=["honest", "harmless", "honest", "harmless"])
    rates = win_rate_by(frame, "category")
    assert [(name, rate.value, rate.n) for name, rate in rates.items()] == [("harmless", 0.75, 2), ("honest", 0.5, 2)]


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
        (FRAME.assign(criterion=["helpful", "honest"]), "several values of `criterion`"),
    ],
)
@pytest.mark.parametrize("estimate", [win_rate, outcome_shares, position_bias])
def test_votes_that_cannot_be_counted_are_refused(estimate: Callable, frame, message: str):
    with pytest.raises(DataError, match=message):
        estimate(frame)


def test_a_slice_by_an_unknown_column_is_refused():
    with pytest.raises(DataError, match=r"columns are missing \(found \['topic'\]\)"):
        win_rate_by(FRAME, "topic")
