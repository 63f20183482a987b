"""The sentences on votes: what each says, and that none says more than its interval."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pandas as pd
import pytest

from rlhf_core.evaluation.agreement import agreement
from rlhf_core.evaluation.statistics import AtEqualLength, Estimate
from rlhf_core.report.judged import summarise
from rlhf_core.report.judged_words import (
    agreement_sentence,
    consensus_sentence,
    judge_sentence,
    length_sentence,
    preference_sentence,
    side_sentence,
    stop_sentence,
    votes_sentence,
)
from rlhf_core.report.judges import judges_against_people
from rlhf_core.report.parts import Stop
from tests.ballot_factory import ballots
from tests.run_factory import vote_frame
from tests.unit.report.test_judged import PEOPLE, scores, votes


def estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, low, high, 40, 20, "made up")


(VOTES,) = summarise(votes({"ana": "cb", "ben": "ct"}), simulated=False)


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        ((0.6, 0.55, 0.7), "People prefer the tuned model to the base model: it wins 60.0% [55.0, 70.0] of 4 votes"),
        ((0.4, 0.3, 0.45), "People prefer the base model to the tuned model, which wins only 40.0% [30.0, 45.0]"),
        (
            (0.5, 0.4, 0.6),
            "People’s votes do not settle it: the tuned model wins 50.0% [40.0, 60.0] of 4 votes against",
        ),
    ],
)
def test_the_preference_follows_the_interval(rate: tuple[float, float, float], text: str):
    assert preference_sentence(replace(VOTES, win_rate=estimate(*rate))).startswith(text)


def test_simulated_votes_and_names_of_ones_own_are_said_as_they_are():
    made = replace(VOTES, simulated=True, contender="gpt-x", win_rate=estimate(0.9, 0.8, 1.0))
    said = preference_sentence(made)
    assert said.startswith("By the rule that made them, gpt-x wins 90.0% [80.0, 100.0] of 4 simulated votes")


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        (
            Stop(1, 80, 0.52, 0.7, 61, "contender is better", None, ()),
            "You may stop: over 80 prompts, the first vote on each, ",
        ),
        (Stop(1, 80, 0.52, 0.7, 61, "contender is better", None, ()), "is [52.0, 70.0]; it left 50% at prompt 61."),
        (Stop(2, 80, 0.4, 0.7, None, "continue", 120, ()), "Go on: over 80 prompts, the first 2 votes on each, "),
        (Stop(2, 80, 0.4, 0.7, None, "continue", 120, ()), "about 120 more prompts settle it."),
        (
            Stop(1, 80, 0.4, 0.6, None, "continue", None, ()),
            "as they did, more than 5,000 further prompts would be needed.",
        ),
        (Stop(3, 0, 0.0, 1.0, None, "continue", None, ()), "Go on: no prompt has its 3 planned votes yet."),
    ],
)
def test_stopping_in_words(stop: Stop, text: str):
    assert text in stop_sentence(stop)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(0.4, 0.6, "No sign of a side bias"), (0.55, 0.7, "Side A is favoured"), (0.2, 0.4, "Side B is favoured")],
)
def test_side_bias_is_named_when_the_interval_leaves_one_half(low: float, high: float, text: str):
    assert side_sentence(estimate((low + high) / 2, low, high)).startswith(text)
    assert side_sentence(None) == "No vote has picked a side yet."


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ((0.7, 0.9), "Labellers agree well: Krippendorff’s α 0.80 [0.70, 0.90]; Fleiss’ κ"),
        ((0.1, 0.9), "Labellers agree beyond chance: "),
        ((-0.1, 0.9), "Labellers are not shown to agree beyond chance: "),
        ((-inf, inf), "Too few prompts to say how far labellers agree: Krippendorff’s α 0.80 (made up); "),
    ],
)
def test_agreement_claims_what_the_whole_interval_bears_out(ends: tuple[float, float], text: str):
    (found,) = agreement(ballots({"ana": "cbcb", "ben": "cbcc"})).values()
    assert agreement_sentence(replace(found, alpha=estimate(0.8, *ends))).startswith(text)


def test_agreement_that_cannot_be_said_says_why():
    (alone,) = agreement(ballots({"ana": "cb"})).values()
    assert agreement_sentence(alone).startswith("No item has been judged by two people yet")
    (same,) = agreement(ballots({"ana": "cc", "ben": "cc"})).values()
    said = agreement_sentence(same)
    assert said.startswith("Two labellers agree on 100.0%")
    assert "Krippendorff's α is not defined: every vote is for the same outcome." in said


def test_consensus_in_words_and_nothing_for_single_votes():
    # Item 0: c c. Item 1: b and t, split.
    assert consensus_sentence(VOTES) == "What most chose, by item: tuned model wins 1, split 1."
    assert consensus_sentence(summarise(votes({"ana": "cb"}), simulated=False)[0]) == ""


def test_length_beside_the_plain_share():
    slope = estimate(0.0, -0.1, 0.1)
    told = AtEqualLength(estimate(0.55, 0.5, 0.6), slope, 0.2)
    said = length_sentence(replace(VOTES, equal_length=told))
    assert said.startswith("At equal length the tuned model would win 55.0% [50.0, 60.0] of decided votes")
    assert "No sign that length decides" in said and "odds of winning by 1.00 [0.90, 1.11]" in said  # e^±0.1
    longer = replace(told, slope=estimate(0.5, 0.3, 0.7))
    assert "Longer answers win more often" in length_sentence(replace(VOTES, equal_length=longer))
    shorter = replace(told, slope=estimate(-0.5, -0.7, -0.3))
    assert "Shorter answers win more often" in length_sentence(replace(VOTES, equal_length=shorter))
    assert length_sentence(VOTES) == "The pull of length cannot be told: fewer than 10 prompts, wins or losses."


def test_a_judge_in_words():
    reward = scores("reward model", "score", [0, 1, 1], [1, 0, 0])
    said = judge_sentence(judges_against_people(PEOPLE, reward)[0])
    assert said.startswith("reward model (score): the same choice as most people on 66.7%")
    assert "Cohen’s κ 0.40 (none: fewer than 10 prompts)." in said
    agreed = PEOPLE.loc[PEOPLE["item_id"] < 2]
    said = judge_sentence(
        judges_against_people(pd.DataFrame(agreed), scores("reward model", "score", [0, 0], [1, 1]))[0]
    )
    assert "Cohen's κ is not defined: both raters always gave the same outcome" in said


def test_every_format_says_whether_a_rule_made_the_votes():
    people, rule = (summarise(vote_frame(simulated=made), simulated=made)[0] for made in (False, True))
    # Two labellers on twelve prompts each way.
    rest = "on 12 prompts by 2 {}labellers. A win counts 1, a tie or both bad ½."
    assert votes_sentence(people) == f"Tuned model against base model, overall: 24 votes {rest.format('')}"
    assert (
        votes_sentence(rule) == f"Tuned model against base model, overall: 24 simulated votes {rest.format('made-up ')}"
    )
