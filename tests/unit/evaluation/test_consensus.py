"""Consensus: labels, confidence and ties by hand, what is left out, and what each method does with it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rlhf_core.errors import DataError
from rlhf_core.evaluation.consensus import COLUMNS, METHODS, consensus, label
from tests.ballot_factory import ballots, more


def columns(frame: pd.DataFrame, *names: str) -> list[list[object]]:
    return frame[list(names)].to_numpy().tolist()


def test_majority_by_hand():
    # Items: c c b → c, ⅔; c b – → split, a tie of ½ each that nobody voted; t x t → t, ⅔; x – – → x, 1
    found = consensus(ballots({"ana": "cctx", "ben": "cbx–", "cy": "b–t–"}))
    assert tuple(found.columns) == COLUMNS
    assert columns(found, "outcome", "split", "votes") == [
        ["contender", False, 3], ["tie", True, 2], ["tie", False, 3], ["both_bad", False, 1]
    ]  # fmt: skip
    assert found["confidence"].tolist() == pytest.approx([2 / 3, 1 / 2, 2 / 3, 1])
    assert found["agreement"].tolist() == pytest.approx([2 / 3, 0, 2 / 3, 1])
    assert set(found["method"]) == {"majority"}


def test_a_row_says_where_it_comes_from():
    row = consensus(ballots({"ana": "c"}, category="honest", task_id=7)).iloc[0]
    assert row[["task_id", "item_id", "prompt_id", "category", "criterion"]].tolist() == [
        7,
        0,
        "p0",
        "honest",
        "overall",
    ]
    assert row[["baseline", "contender", "simulated"]].tolist() == ["base", "tuned", False]


def test_equal_probabilities_are_a_tie():
    found = label(np.array([[0.4, 0.4, 0.2, 0.0], [0.1, 0.2, 0.0, 0.7], [0.5 - 1e-12, 0.5, 0, 0]]))
    assert columns(found, "outcome", "split") == [["tie", True], ["both_bad", False], ["tie", True]]
    assert found["confidence"].tolist() == pytest.approx([0.4, 0.7, 0.5])


@pytest.mark.parametrize("method", METHODS)
def test_gold_and_repeats_are_no_part_of_a_consensus(method: str):
    plain = ballots({"ana": "cbc", "ben": "cbb", "cy": "ctc"})
    frame = more(more(plain, "gold", [{"item_id": 9, "gold": "tie"}]), "repeat", [{"item_id": 8, "repeat_of": 0}])
    pd.testing.assert_frame_equal(consensus(frame, method), consensus(plain, method))


@pytest.mark.parametrize("method", METHODS)
def test_criteria_are_fitted_apart_and_rows_may_come_in_any_order(method: str):
    one = ballots({"ana": "cbct", "ben": "cbbc", "cy": "bbcx"}, criterion="helpful")
    other = ballots({"ana": "bbbb", "ben": "bbcc", "cy": "cbcb"}, criterion="honest")
    both = consensus(pd.concat([other, one]).sample(frac=1, random_state=1), method)
    apart = pd.concat([consensus(one, method), consensus(other, method)], ignore_index=True)
    pd.testing.assert_frame_equal(both, apart)


@pytest.mark.parametrize("method", METHODS)
def test_an_outcome_nobody_gave_is_nobodys_truth(method: str):
    # Labellers who contradict each other everywhere make every explanation unlikely; a fourth outcome must not win by that.
    found = consensus(ballots({"ana": "ccccbbbb", "ben": "bbbbcccc", "cy": "cbcbcbcb"}), method)
    assert set(found["outcome"]) <= {"contender", "baseline", "tie"}
    assert not found.loc[found["outcome"] == "tie", "agreement"].any()
    assert found["confidence"].between(0.25, 1).all()


@pytest.mark.parametrize("method", ["majority", "dawid_skene", "mace"])
def test_an_outcome_nobody_gave_has_no_probability(method: str):
    # Only c was ever said, so nothing is left for another outcome.
    assert consensus(ballots({"ana": "cc", "ben": "c–"}), method)["confidence"].tolist() == [1, 1]


@pytest.mark.parametrize("method", METHODS)
def test_where_everybody_agrees_so_does_the_consensus(method: str):
    found = consensus(ballots({"ana": "ccbbtx", "ben": "ccbbtx", "cy": "ccbbtx"}), method)
    assert found["outcome"].tolist() == ["contender"] * 2 + ["baseline"] * 2 + ["tie", "both_bad"]
    assert not found["split"].any() and (found["agreement"] == 1).all()


def test_without_side_bias_undecided_items_keep_their_majority():
    # t t c: two of three say tie. t x c b: half are undecided, each outcome has a quarter. c c t: decided, by its two votes.
    found = consensus(ballots({"ana": "ttc", "ben": "txc", "cy": "cct", "dan": "–b–"}), "noisy_bradley_terry")
    assert columns(found, "outcome", "split") == [["tie", False], ["tie", True], ["contender", False]]
    assert found["confidence"].tolist()[:2] == pytest.approx([2 / 3, 1 / 4])
    assert 0.5 < found["confidence"].iloc[2] < 1


def test_without_side_bias_needs_no_decided_vote():
    found = consensus(ballots({"ana": "tx", "ben": "tx"}), "noisy_bradley_terry")
    assert columns(found, "outcome", "confidence") == [["tie", 1.0], ["both_bad", 1.0]]


def test_who_always_chooses_a_counts_less():
    # ana and ben read and agree, c and b in turn; cy, dan and eve always choose A, with sides drawn for each of them. The majority
    # is wrong exactly where all three saw the worse answer on side A.
    rng, right = np.random.default_rng(0), "cb" * 32
    sides = {name: rng.choice(list("ab"), len(right)) for name in ("ana", "ben", "cy", "dan", "eve")}
    leaning = {name: "".join("c" if side == "a" else "b" for side in sides[name]) for name in ("cy", "dan", "eve")}
    frame = ballots({"ana": right, "ben": right} | leaning, contender_side=np.concatenate(list(sides.values())))
    truth = frame.loc[frame["labeller"] == "ana", "outcome"].tolist()
    fooled = [all(own[i] != letter for own in leaning.values()) for i, letter in enumerate(right)]
    assert 2 < sum(fooled) < 20
    assert (consensus(frame)["outcome"] != truth).tolist() == fooled
    assert consensus(frame, "noisy_bradley_terry")["outcome"].tolist() == truth


def test_what_cannot_be_a_consensus_is_refused():
    frame = ballots({"ana": "c"})
    with pytest.raises(
        DataError, match=r"unknown consensus method \(found 'mean'\). Expected majority, dawid_skene, mace"
    ):
        consensus(frame, "mean")
    with pytest.raises(DataError, match=r"columns are missing \(found \['contender_side'\]\)"):
        consensus(frame.drop(columns=["contender_side"]))
