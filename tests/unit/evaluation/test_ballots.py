"""Which frames of votes are counted, and what is said of the others."""

from __future__ import annotations

import pandas as pd
import pytest

from rlhf_core.errors import DataError
from rlhf_core.evaluation.ballots import (
    by_criterion,
    count_outcomes,
    item_votes,
    one_pair_each,
    one_row_each,
    pair_items,
)
from tests.ballot_factory import ballots, more

FRAME = ballots({"ana": "cb", "ben": "tx"})


def test_votes_are_counted_by_item_and_outcome():
    # Rows by item_id, columns contender, baseline, tie, both_bad; the order of the votes does not matter.
    items, counts = count_outcomes(ballots({"ana": "cbt", "ben": "cx–", "cy": "b––"}).iloc[::-1])
    assert items["item_id"].tolist() == [0, 1, 2]
    assert items["prompt_id"].tolist() == ["p0", "p1", "p2"]
    assert counts.tolist() == [[2, 1, 0, 0], [0, 1, 0, 1], [0, 0, 1, 0]]


def test_gold_and_repeats_are_no_ordinary_votes():
    frame = more(more(FRAME, "gold", [{"item_id": 9}]), "repeat", [{"item_id": 8, "repeat_of": 0}])
    assert item_votes(frame)["item_id"].tolist() == [0, 1, 0, 1]


def test_criteria_come_by_name():
    both = pd.concat([FRAME.assign(criterion="honest"), FRAME.assign(criterion="helpful")])
    assert [(name, len(part)) for name, part in by_criterion(both)] == [("helpful", 4), ("honest", 4)]


def test_one_row_stands_for_each_item():
    assert one_row_each(FRAME, ("item_id", "prompt_id")).to_numpy().tolist() == [[0, "p0"], [1, "p1"]]


def ranked(*items: int) -> pd.DataFrame:
    """Two labellers' rankings of three contenders, a row a pair: a against b, a against c, b against c."""
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    letters = "c" * (len(pairs) * len(items))
    frame = ballots({"ana": letters, "ben": letters})
    each = [(item, *pair) for _ in range(2) for item in items for pair in pairs]
    return frame.assign(**dict(zip(("item_id", "baseline", "contender"), zip(*each, strict=True), strict=True)))


def test_every_pair_of_a_ranking_becomes_an_item_and_its_repeat_follows():
    frame = ranked(7, 9)
    again = frame.iloc[:3].assign(kind="repeat", repeat_of=pd.array([7] * 3, dtype="Int64"))
    pairs = pair_items(pd.concat([frame, again], ignore_index=True))
    assert pairs["item_id"].tolist() == [0, 1, 2, 3, 4, 5] * 2 + [0, 1, 2]
    assert pairs["of_item"].tolist() == [7, 7, 7, 9, 9, 9] * 2 + [7] * 3
    assert pairs["repeat_of"].isna().tolist() == [True] * 12 + [False] * 3
    assert pairs["repeat_of"].tolist()[-3:] == [0, 1, 2]


def test_one_pair_of_each_ranking_is_the_same_for_all_and_changes_from_item_to_item():
    kept = one_pair_each(ranked(6, 7, 8))
    # (pair + item) modulo 3 is 0 for pair 0 of item 6, pair 2 of item 7 and pair 1 of item 8.
    chosen = list(zip(kept["labeller"], kept["of_item"], kept["baseline"] + kept["contender"], strict=True))
    assert chosen == [(who, *what) for who in ("ana", "ben") for what in ((6, "ab"), (7, "bc"), (8, "ac"))]
    assert len(one_pair_each(FRAME)) == len(FRAME)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (FRAME.drop(columns=["kind"]), r"votes: columns are missing \(found \['kind'\]\). There are \["),
        (FRAME.iloc[:0], "votes: no votes to count. Judge some pairs first"),
        (FRAME.assign(kind="gold"), "votes: no votes on items. Judge some pairs first"),
        (FRAME.assign(outcome="won"), r"votes: unknown outcomes \(found \['won'\]\). Expected contender, baseline"),
        (
            FRAME.assign(simulated=[True, False, False, False]),
            "votes of people and of simulations together.*never pooled",
        ),
        (
            pd.concat([FRAME, FRAME.iloc[:1]]),
            r"1 votes repeat an item, a criterion and a labeller \(found .*'ana'.*in force",
        ),
    ],
)
def test_votes_that_cannot_be_counted_are_refused(frame: pd.DataFrame, message: str):
    with pytest.raises(DataError, match=message):
        item_votes(frame)
