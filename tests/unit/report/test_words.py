"""How a report writes numbers."""

from __future__ import annotations

from math import inf

import pytest

from rlhf_core.report import words


@pytest.mark.parametrize(
    ("low", "high", "digits"),
    [
        (54.9, 67.1, 0),  # width 12.2: two significant figures are 12
        (0.22, 1.72, 1),  # 1.5
        (-0.33, 0.02, 2),  # 0.35
        (-0.017, 0.002, 3),  # 0.019
        (0.0, 1e-9, 4),  # never more than four
        (0.0, 900.0, 0),
        (1.0, 1.0, 2),  # no width
        (None, None, 2),
        (-inf, inf, 2),
    ],
)
def test_digits_follow_the_width_of_the_interval(low, high, digits):
    assert words.digits_for(low, high) == digits


def test_numbers_have_a_true_minus_and_no_negative_zero():
    assert words.number(-1.234, 1) == "−1.2"
    assert words.number(-0.001, 2) == "0.00"
    assert words.number(0.5, 1, signed=True) == "+0.5"
    assert (words.number(None), words.number(-inf), words.number(inf)) == ("–", "−∞", "∞")


def test_shares_and_intervals():
    assert words.percent_interval(0.612, 0.549, 0.671) == "61.2% [54.9, 67.1]"
    assert words.percent_interval(0.612, None, None) == "61.2%"
    assert words.interval(6.44, 5.1, 7.7) == "6.4 [5.1, 7.7]"
    assert words.interval(6.4, 6.4, 6.4) == "6.40 [no spread]"


def test_differences_carry_sign_unit_and_interval():
    assert words.difference(1.116, 0.22, 1.72, "base SD", named=True) == "+1.1 base SD [0.2, 1.7]"
    assert words.difference(-0.15, -0.33, 0.02, "probability", named=True) == "−0.15 [−0.33, 0.02]"
    assert words.difference(0.083, -0.08, 0.247, "share", named=True) == "+8.3 points [−8.0, 24.7]"
    assert words.difference(0.083, -0.08, 0.247, "share") == "+8.3 [−8.0, 24.7]"
    assert words.difference(1.0, None, None, "words") == "+1.00"
    assert words.difference(0.0, 0.0, 0.0, "words") == "0.00 [no spread]"


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "–"), (44.4, "44 s"), (200, "3 min 20 s"), (59.7, "1 min 00 s"), (7500, "2 h 05 min")]
)
def test_durations(seconds, text):
    assert words.duration(seconds) == text


def test_counts_and_p_values():
    assert [words.count(n, "vote") for n in (0, 1, 1200)] == ["0 votes", "1 vote", "1,200 votes"]
    assert words.count(2, "person", "people") == "2 people"
    assert [words.p_value(p) for p in (1.0, 0.0314, 0.0004)] == ["p = 1", "p = 0.031", "p < 0.001"]


def test_stages():
    assert words.stage_state("ppo", "interrupted") == "PPO was interrupted"
    assert words.stage_state("generate", "waiting") == "Generation is waiting"
    assert [words.stage_steps(11, 24), words.stage_steps(0, 0)] == ["11 of 24", "–"]


def test_names():
    assert words.outcome_name("contender", "base", "tuned") == "tuned model wins"
    assert words.outcome_name("both_bad", "base", "tuned") == "both bad"
    assert words.contender_name("variant-b") == "variant-b"
    assert words.contender_name("round-2") == "tuned model of round 2"
    assert words.sentence_case("base model wins") == "Base model wins"
