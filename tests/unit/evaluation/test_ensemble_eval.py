"""The report of an ensemble, on two prompts worked out by hand."""

from __future__ import annotations

import pytest

from rlhf_core.data.records import Completion, Ranking
from rlhf_core.evaluation.ensemble_eval import ensemble_report
from rlhf_core.evaluation.reward_eval import reward_report

PAIRS = [
    Ranking(id=name, prompt=name, completions=[Completion(id=i, text=i) for i in "ab"], ranking=[["a"], ["b"]])
    for name in ("p", "q", "r")
]
ONE = [[2.0, 0.0], [0.0, 1.0], [3.0, 1.0]]  # right, wrong, right
TWO = [[4.0, 0.0], [4.0, 1.0], [0.0, 3.0]]  # right, right, wrong
# Means: 3 > 0 right; 2 > 1 right; 1.5 < 2 wrong.
CONSTANTS = [{"mean": 0.0, "sd": 1.0}, {"mean": 1.0, "sd": 2.0}]


def test_the_ensemble_and_each_member_are_reported():
    report = ensemble_report(PAIRS, [ONE, TWO], CONSTANTS)
    assert report["accuracy"]["value"] == pytest.approx(2 / 3)
    assert [m["accuracy"]["value"] for m in report["members"]] == pytest.approx([2 / 3, 2 / 3])
    assert report["members"][1]["kendall_tau"] == pytest.approx(1 / 3)  # 1, 1, −1
    assert reward_report(PAIRS, [[3.0, 0.0], [2.0, 1.0], [1.5, 2.0]]).items() <= report.items()


def test_disagreement_by_hand():
    """Both members order p alike and rightly; on q and r they differ, and the mean is right on one of the two."""
    found = ensemble_report(PAIRS, [ONE, TWO], CONSTANTS)["disagreement"]
    # Normalised two: 1.5 −.5 | 1.5 0 | −.5 1; half the distances to one: .25 .25 | .75 .5 | 1.75 0, mean 3.5/6.
    assert found == {
        "sd": pytest.approx(3.5 / 6),
        "agreed": pytest.approx(1 / 3),
        "accuracy_agreed": 1.0,
        "accuracy_other": 0.5,
    }


def test_members_that_always_agree_leave_nothing_to_compare():
    found = ensemble_report(PAIRS, [ONE, ONE], [CONSTANTS[0]] * 2)["disagreement"]
    assert found == {"sd": 0.0, "agreed": 1.0, "accuracy_agreed": pytest.approx(2 / 3), "accuracy_other": None}
