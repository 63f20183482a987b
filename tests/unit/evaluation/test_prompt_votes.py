"""What people say of each prompt, by hand, and whether a score chooses as they do."""

from __future__ import annotations

import numpy as np
import pytest

from rlhf_core.errors import DataError
from rlhf_core.evaluation.prompt_votes import AGREE, DISAGREE, OPEN, UNJUDGED, by_prompt, same_choice
from tests.ballot_factory import ballots


def test_votes_of_each_prompt_by_hand() -> None:
    found = by_prompt(ballots({"ana": "cbtcx", "ben": "cctb–", "eva": "bct––"}))
    # p0: c c b, 2/3. p1: b c c. p2: three ties. p3: c b, nobody leads. p4: one both bad, which counts half.
    assert found["votes"].to_dict() == {"p0": 3, "p1": 3, "p2": 3, "p3": 2, "p4": 1}
    assert found["win_rate"].tolist() == pytest.approx([2 / 3, 2 / 3, 0.5, 0.5, 0.5])
    assert found["choice"].tolist() == ["contender", "contender", "tie", "split", "both_bad"]


def test_without_votes_there_is_nothing() -> None:
    assert by_prompt(ballots({})).empty


def test_votes_of_people_and_of_simulations_are_refused() -> None:
    votes = ballots({"ana": "cc"})
    with pytest.raises(DataError, match="people and of simulations together"):
        by_prompt(votes.assign(simulated=[True, False]))


def test_a_score_agrees_where_both_choose_the_same_side() -> None:
    choices = ["contender", "contender", "baseline", "tie", "split", "contender", "", "baseline"]
    before = [0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, np.nan]
    after = [1.0, 0.0, -1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert same_choice(choices, before, after).tolist() == [
        *(AGREE, DISAGREE, AGREE, OPEN, OPEN, OPEN, UNJUDGED, UNJUDGED)
    ]
