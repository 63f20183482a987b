"""Confidence sequences: one step by hand, a slow and obvious version, and how often they err when always looked at."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlhf_core.errors import DataError
from rlhf_core.evaluation.statistics import betting, confidence_sequence
from rlhf_core.evaluation.statistics.betting import LIMIT, growth


def test_two_purses_by_hand():
    # At ½ a score of 1 is half above: the purse that stakes 0.4 grows by 1 + 0.4·(1 − ½)/½ = 1.4, its opponent to 0.6.
    # At ¼ a score of ½ is twice ¼: 1 + 0.4·1 = 1.4; betting below, 1 + 0.4·(¼ − ½)/¾ = 1 − 0.4/3.
    assert growth(np.array([1.0]), 0.5)[:, 0, 0] == pytest.approx([1.4, 0.6])
    assert growth(np.array([0.5]), 0.25)[:, 0, 0] == pytest.approx([1.4, 1 - 0.4 / 3])


def test_all_wins_by_hand():
    # At ½ the four purses grow by 1.4, 1.2, 1.1 and 1.05 a win, (1.4^t + 1.2^t + 1.1^t + 1.05^t)/4:
    # 35.93 after 14 wins, 49.77 after 15 (1.4¹⁵ = 155.568, 1.2¹⁵ = 15.407, 1.1¹⁵ = 4.177, 1.05¹⁵ = 2.079: 44.308) > 40.
    low, high = confidence_sequence(np.ones(15))
    after_14 = (1.4**14 + 1.2**14 + 1.1**14 + 1.05**14) / 4
    assert after_14 < 40 < 44.3 < (1.4**15 + 1.2**15 + 1.1**15 + 1.05**15) / 4
    assert low[13] < 0.5 <= low[14]
    assert (high == 1).all()


def slow_sequence(scores: list[float]) -> tuple[list[float], list[float]]:
    """The same from the definition, one mean at a time: its wealth at every step, and the nearest means that are out."""
    low, high = np.zeros(len(scores)), np.ones(len(scores))
    for m in np.arange(1, 40) / 40:
        for bettor in (0, 1):
            out = False
            purses = np.ones(4)
            for step, x in enumerate(scores):
                gain = (x - m) / m if bettor == 0 else (m - x) / (1 - m)
                purses = purses * (1 + np.array([0.4, 0.2, 0.1, 0.05]) * gain)
                out = out or purses.mean() >= 40
                if out and bettor == 0:
                    low[step] = max(low[step], m)
                elif out:
                    high[step] = min(high[step], m)
    return low.tolist(), high.tolist()


@settings(max_examples=20)
@given(
    scores=st.lists(st.sampled_from([0.0, 1 / 3, 0.5, 1.0]), min_size=1, max_size=20),
    then=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_the_sequence_equals_a_slow_one(scores: list[float], then: float):
    scores = scores + [then] * 60  # past one block, with means out on the way
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(betting, "GRID", 40)
        low, high = confidence_sequence(scores)
    slow_low, slow_high = slow_sequence(scores)
    kept = next((i for i in range(len(scores)) if slow_high[i] - slow_low[i] < 0.03), len(scores))
    assert low[:kept] == pytest.approx(slow_low[:kept])
    assert high[:kept] == pytest.approx(slow_high[:kept])


def test_intervals_only_ever_shrink_and_never_cross():
    # Scores that turn from 0 to 1 have no one mean: the last interval that held any stays.
    low, high = confidence_sequence(np.repeat([0.0, 1.0], 400))
    assert (np.diff(low) >= 0).all() and (np.diff(high) <= 0).all()
    assert (low < high).all()


def test_what_may_be_looked_at_always_errs_in_at_most_5_percent():
    # 2,000 judgings of 1,000 prompts, both equally good, 30% ties; a plain interval errs in about 44% of them.
    rng = np.random.default_rng(1)
    scores = rng.choice([0.0, 0.5, 1.0], (1000, 2000), p=[0.35, 0.3, 0.35])
    alarms = np.zeros(2000, dtype=bool)
    purses = np.ones((2, 2000, 4))
    for row in scores:
        purses *= growth(row, 0.5)
        alarms |= (purses.mean(axis=-1) >= LIMIT).any(axis=0)
    assert 0.01 < alarms.mean() <= 0.05
    step = np.arange(1, 1001)[:, None]
    mean = scores.cumsum(0) / step
    error = np.sqrt(((scores**2).cumsum(0) / step - mean**2) / step)
    naive = (np.abs(mean - 0.5) > 1.96 * error)[19:].any(axis=0).mean()
    assert naive == pytest.approx(0.445, abs=0.05)


def test_the_price_of_looking_is_small():
    # At a true score of 0.60 with 30% ties half of the judgings have stopped by about the 129 prompts that a fixed plan
    # takes for 80% power: (1.96 + 0.84)²·(0.24 − 0.075)/0.1² = 129.5. 600 judgings: the median is known to about ±12.
    rng = np.random.default_rng(2)
    scores = rng.choice([0.0, 0.5, 1.0], (1500, 600), p=[0.25, 0.3, 0.45])
    wealth = growth(scores, 0.5)[0].cumprod(axis=0).mean(axis=-1)
    first = np.where((wealth >= LIMIT).any(axis=0), (wealth >= LIMIT).argmax(axis=0) + 1, np.inf)
    assert 115 < np.median(first) < 150


@pytest.mark.parametrize(("scores", "message"), [([], "no values"), ([0.5, 1.5], "a share needs values from 0 to 1")])
def test_scores_that_cannot_be_used_are_refused(scores: list[float], message: str):
    with pytest.raises(DataError, match=message):
        confidence_sequence(scores)
