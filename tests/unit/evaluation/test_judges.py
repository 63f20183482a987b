"""Automatic judges beside people: shares, κ and confusion by hand, by slice, and what is refused."""

from __future__ import annotations

from math import inf, nan

import pandas as pd
import pytest

from rlhf_core.errors import DataError
from rlhf_core.evaluation.consensus import consensus
from rlhf_core.evaluation.judges import judge_against_people, judge_by, score_outcomes
from tests.ballot_factory import SHORT, ballots

PEOPLE = consensus(ballots({"ana": "cccbbtxc"}, category=list("hhhhssss")))


def judge(letters: str, first: int = 0) -> pd.DataFrame:
    """A judge's outcomes on items from `first` on."""
    rows = [(item, "overall", SHORT[letter]) for item, letter in enumerate(letters, first)]
    return pd.DataFrame(rows, columns=["item_id", "criterion", "outcome"])


def test_scores_decide_beyond_the_margin_only():
    # Differences 1, 0.5, −0.5, −1, 0 with margin ½: exactly the margin is still a tie.
    ours, theirs = [2, 1.5, 1, 1, 3], [1, 1, 1.5, 2, 3]
    assert score_outcomes(ours, theirs, 0.5).tolist() == ["contender", "tie", "tie", "baseline", "tie"]
    assert score_outcomes(ours, theirs).tolist() == ["contender", "contender", "baseline", "baseline", "tie"]


def test_agreement_by_hand():
    # People c c c b b t x c, the judge c c b b c t t –: 4 of 7 alike; decided by both: 5, of which 3 alike.
    # p_e = (3·3 + 2·2 + 1·2)/49 = 15/49, κ = (28 − 15)/(49 − 15) = 13/34
    report = judge_against_people(judge("ccbbctt"), PEOPLE)
    assert (report.items, report.unjudged, report.problem) == (7, 1, None)
    assert report.agreement.value == pytest.approx(4 / 7)
    assert report.decided is not None and (report.decided.value, report.decided.n) == (pytest.approx(3 / 5), 5)
    assert report.kappa is not None and report.kappa.value == pytest.approx(13 / 34)
    assert report.confusion.to_numpy().tolist() == [[2, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0]]
    assert (report.confusion.index.name, report.confusion.columns.name) == ("people", "judge")
    assert list(report.confusion.columns) == ["contender", "baseline", "tie", "both_bad"]


def test_intervals_are_by_prompt():
    people = consensus(ballots({"ana": "cb" * 30}, prompt_id=[f"p{i // 5}" for i in range(60)]))
    report = judge_against_people(judge("cc" * 30), people)
    assert (report.agreement.n, report.agreement.clusters) == (60, 12)
    assert report.kappa is not None and report.kappa.clusters == 12
    assert report.decided is not None and report.decided.clusters == 12


def test_slices_are_told_apart():
    # h: c c c b against c c b b; s: b t x against c t t.
    found = judge_by(judge("ccbbctt"), PEOPLE, "category")
    assert {name: (one.items, one.unjudged, one.agreement.value) for name, one in found.items()} == {
        "h": (4, 0, 3 / 4), "s": (3, 1, pytest.approx(1 / 3))
    }  # fmt: skip


def test_a_slice_may_be_the_judges_own_and_one_it_never_judged_is_left_out():
    verdicts = judge("ccbb").assign(length=["short", "long", "short", "short"])
    assert {name: one.items for name, one in judge_by(verdicts, PEOPLE, "length").items()} == {"long": 1, "short": 3}
    assert list(judge_by(judge("ccbb"), PEOPLE, "category")) == ["h"]


def test_where_kappa_is_not_defined_it_is_said():
    report = judge_against_people(judge("cc"), PEOPLE)
    assert (report.kappa, report.agreement.value) == (None, 1)
    assert report.problem == "Cohen's κ is not defined: both raters always gave the same outcome (found 'contender')"


def test_a_judge_that_cannot_decide_is_left_out_of_the_decided_share():
    # People c c c b b, the judge c t x b c: decided by both 3, alike 2.
    report = judge_against_people(judge("ctxbc"), PEOPLE)
    assert report.decided is not None and (report.decided.value, report.decided.n) == (pytest.approx(2 / 3), 3)
    assert report.agreement.value == pytest.approx(2 / 5)


def test_without_a_decided_pair_there_is_no_decided_share():
    assert judge_against_people(judge("tt", first=5), PEOPLE).decided is None


def test_criteria_are_matched():
    with pytest.raises(
        DataError, match=r"no item was judged by both\. Compare the item_id and criterion of the two frames"
    ):
        judge_against_people(judge("cc").assign(criterion="honest"), PEOPLE)


@pytest.mark.parametrize(
    ("verdicts", "people", "message"),
    [
        (
            judge("c").drop(columns=["outcome"]),
            PEOPLE,
            r"the judge's outcomes: columns are missing \(found \['outcome'\]\)",
        ),
        (
            judge("c"),
            PEOPLE.drop(columns=["prompt_id"]),
            r"the consensus: columns are missing \(found \['prompt_id'\]\)",
        ),
        (judge("c").assign(outcome="won"), PEOPLE, r"the judge's outcomes: unknown outcomes \(found \['won'\]\)"),
        (judge("c").assign(outcome=None), PEOPLE, "the judge's outcomes: unknown outcomes"),
        (
            pd.concat([judge("c"), judge("b")]),
            PEOPLE,
            r"the judge's outcomes: an item has several outcomes \(found .*'item_id': 0",
        ),
        (judge("c", 99), PEOPLE, "no item was judged by both"),
        (judge("c"), PEOPLE.assign(simulated=True), "a consensus of simulated votes.*use a consensus of their votes"),
        (
            judge("c"),
            pd.concat([PEOPLE, PEOPLE.assign(criterion="honest")]),
            r"several criteria at once \(found \['honest', 'overall'\]\). Compare them one by one",
        ),
    ],
)
def test_frames_that_cannot_be_compared_are_refused(verdicts: pd.DataFrame, people: pd.DataFrame, message: str):
    with pytest.raises(DataError, match=message):
        judge_against_people(verdicts, people)


def test_a_trial_compares_with_simulated_votes_and_with_nothing_else():
    """The same figures as with people's; mixed, or people's where a trial is asked for, is refused."""
    trial = judge_against_people(judge("ccbb"), PEOPLE.assign(simulated=True), simulated=True)
    assert trial.agreement == judge_against_people(judge("ccbb"), PEOPLE).agreement
    for mixed in (PEOPLE, PEOPLE.assign(simulated=[True, *[False] * (len(PEOPLE) - 1)])):
        with pytest.raises(
            DataError, match=r"a consensus of people's votes.*A trial with simulated votes has no people's"
        ):
            judge_against_people(judge("c"), mixed, simulated=True)


def test_slices_that_cannot_be_made_are_refused():
    with pytest.raises(DataError, match=r"no such column to slice by \(found 'topic'\). There are \["):
        judge_by(judge("c"), PEOPLE, "topic")
    with pytest.raises(DataError, match=r"1 items have no value to slice by \(found 'length'\)"):
        judge_by(judge("cc").assign(length=["short", None]), PEOPLE, "length")


@pytest.mark.parametrize(
    ("ours", "theirs", "margin", "message"),
    [
        ([1, 2], [1], 0, r"expected one score for each side of an item \(found \[\[2\], \[1\]\]\)"),
        ([1, nan], [1, 1], 0, "1 of 2 pairs of scores are missing or infinite. Leave those items out, and say so"),
        ([inf], [inf], 0, "1 of 1 pairs of scores are missing or infinite"),
        ([1], [1], -1, r"a tie margin is a number from 0 \(found -1\)"),
        ([1], [1], nan, "a tie margin is a number from 0"),
    ],
)
def test_scores_that_decide_nothing_are_refused(ours: list[float], theirs: list[float], margin: float, message: str):
    with pytest.raises(DataError, match=message):
        score_outcomes(ours, theirs, margin)
