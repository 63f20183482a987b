"""The share at equal length: by hand where it can be, against what is known of simulated voters, and what is refused."""

from __future__ import annotations

from math import nan, sqrt

import numpy as np
import pandas as pd
import pytest

from benchmarks.voters import Voters, simulate
from rlhf_core.errors import DataError
from rlhf_core.evaluation.statistics import length_controlled, position_bias, win_rate
from tests.vote_factory import vote_frame

W, L, T, B = "contender", "baseline", "tie", "both_bad"
T_79 = 1.990450  # two-sided 95% point of Student's t with 79 degrees of freedom


def with_lengths(outcomes: list[str], lengths: list[float]) -> pd.DataFrame:
    return vote_frame(outcomes).assign(length_difference=lengths)


def test_by_hand_where_there_are_two_lengths():
    # At d = +2 it wins 30 of 40, at d = −2 20 of 40: logits log 3 and 0, so at 0 (log 3)/2: share √3/(1 + √3) = 0.63397.
    # The slope is (log 3)/2 per SD, as SD is 2. Var of a logit: 1/30 + 1/10 = 2/15 and 1/20 + 1/20 = 1/10; of their mean
    # (2/15 + 1/10)/4 = 7/120, by the robust formula times 80/79·79/78 (G/(G−1)·(n−1)/(n−2), G = n = 80).
    votes = with_lengths([W] * 30 + [L] * 10 + [W] * 20 + [L] * 20, [2.0] * 40 + [-2.0] * 40)
    found = length_controlled(votes)
    assert found.share is not None and found.slope is not None
    assert found.share.value == pytest.approx(sqrt(3) / (1 + sqrt(3)), abs=1e-6)
    assert found.slope.value == pytest.approx(np.log(3) / 2, abs=1e-6)
    half = T_79 * sqrt(7 / 120 * 80 / 78)
    assert found.share.low == pytest.approx(1 / (1 + np.exp(half - np.log(3) / 2)), abs=1e-5)
    assert found.slope.high - found.slope.value == pytest.approx(half, abs=1e-4)
    assert (found.share.n, found.share.clusters, found.undecided, found.problem) == (80, 80, 0, "")


def test_undecided_votes_are_left_out_and_said():
    votes = with_lengths([W, W, L, L] * 10, [3.0, -1.0, 1.0, -2.0] * 10)
    more = pd.concat([votes, with_lengths([T, B] * 5, [100.0] * 10).assign(prompt_id="t")])
    assert length_controlled(more).undecided == 0.2
    assert length_controlled(more).share == length_controlled(votes).share


def test_votes_on_one_prompt_are_not_independent():
    votes = with_lengths([W, W, L, W, L] * 10, [3.0, -1.0, 1.0, -2.0, 2.0] * 10)
    once, often = length_controlled(votes).share, length_controlled(pd.concat([votes] * 4)).share
    assert once is not None and often is not None
    assert (often.n, often.clusters) == (200, 50)
    # Only the factor (n−1)/(n−2) and rounding differ.
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=0.02)


def test_a_preference_that_is_length_alone_goes_away():
    # Equal at equal length, but longer answers win and the contender is longer: its win rate is well above ½.
    voters = Voters(3000, score=0.5, length=0.8, longer=1.0, correlation=0)
    votes, _ = simulate(voters, np.random.default_rng(1))
    share = length_controlled(votes).share
    assert win_rate(votes).low > 0.55
    assert share is not None and share.low < 0.5 < share.high and share.high - share.low < 0.08
    bias = position_bias(votes)
    assert bias is not None and bias.low < 0.5 < bias.high


@pytest.mark.parametrize(
    ("outcomes", "lengths", "problem"),
    [
        ([T] * 20, [1.0] * 20, "no vote is decided"),
        ([W] * 30, list(range(30)), "fewer than 10 prompts, wins or losses"),
        ([W, L] * 9, list(range(18)), "fewer than 10 prompts, wins or losses"),
        ([W, L] * 10, [7.0] * 20, "all differences in length are the same"),
        ([W] * 10 + [L] * 10, list(range(20)), "length alone decides every vote"),
        ([L] * 10 + [W] * 10, list(range(20)), "length alone decides every vote"),
    ],
)
def test_what_cannot_be_estimated_is_said(outcomes: list[str], lengths: list[float], problem: str):
    found = length_controlled(with_lengths(outcomes, lengths))
    assert (found.share, found.slope, found.problem) == (None, None, problem)


@pytest.mark.parametrize(
    ("votes", "message"),
    [
        (vote_frame([W, L]), r"columns are missing \(found \['length_difference'\]\)"),
        (with_lengths([W, L], [1.0, nan]), "1 of 2 lengths are missing or infinite"),
    ],
)
def test_votes_without_lengths_are_refused(votes: pd.DataFrame, message: str):
    with pytest.raises(DataError, match=message):
        length_controlled(votes)
