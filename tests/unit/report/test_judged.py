"""What one summary of votes says: each pair and criterion apart, consensus, stopping; automatic judges by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from rlhf_core.report.judged import summarise
from rlhf_core.report.judges import judges_against_people
from tests.ballot_factory import ballots


def votes(verdicts: dict[str, str], **columns: object) -> pd.DataFrame:
    """Ballots as the store gives them: in the order of the log."""
    frame = ballots(verdicts, **columns)
    more = {"vote_id": range(1, len(frame) + 1), "length_difference": 0, "instruction_version": "1", "words": 9}
    return frame.assign(**more, reason="")


def test_pairs_and_criteria_are_told_apart():
    helpful, honest = votes({"ana": "ccb"}, criterion="helpful"), votes({"ana": "bbb"}, criterion="honest")
    other = votes({"ana": "ctt"}, criterion="helpful", baseline="sft")
    found = summarise(pd.concat([honest, helpful, other]), simulated=False)
    assert [(v.criterion, v.baseline, v.contender, v.n) for v in found] == [
        ("helpful", "base", "tuned", 3), ("helpful", "sft", "tuned", 3), ("honest", "base", "tuned", 3),
    ]  # fmt: skip
    assert [v.win_rate.value for v in found] == pytest.approx([2 / 3, 2 / 3, 0])


def test_consensus_counts_items_by_what_most_said():
    # Item 0: c c t, so contender. Item 1: b t –, split. Item 2: x x x.
    (found,) = summarise(votes({"ana": "cbx", "ben": "ctx", "cy": "t–x"}), simulated=False)
    assert found.consensus == {"contender": 1, "baseline": 0, "tie": 0, "both_bad": 1, "split": 1}


def test_the_share_of_decided_votes_leaves_ties_and_both_bad_out():
    (found,) = summarise(votes({"ana": "ccbtx"}), simulated=False)
    assert found.decided is not None and (found.decided.value, found.decided.n) == (pytest.approx(2 / 3), 3)
    (none,) = summarise(votes({"ana": "tx"}), simulated=False)
    assert none.decided is None and none.equal_length.problem == "no vote is decided"


def test_stopping_keeps_the_first_and_the_last_look_and_at_most_200():
    # 15 wins in a row settle it (test_betting).
    (found,) = summarise(votes({"ana": "c" * 450}), simulated=False)
    stop = found.stop
    assert (stop.prompts, stop.settled_at, stop.verdict) == (450, 15, "contender is better")
    assert len(stop.path) == 200 and stop.path[0][0] == 1 and stop.path[-1] == (450, stop.low, stop.high)


def test_prompts_count_once_they_have_their_planned_votes():
    (found,) = summarise(votes({"ana": "ccc", "ben": "c––"}), simulated=False, overlap=2)
    assert (found.stop.overlap, found.stop.prompts) == (2, 1)
    (none,) = summarise(votes({"ana": "ccc"}), simulated=False, overlap=2)
    assert (none.stop.prompts, none.stop.low, none.stop.high, none.stop.path) == (0, 0.0, 1.0, ())


def scores(scorer: str, measure: str, base: list[float], tuned: list[float]) -> pd.DataFrame:
    """Scores of prompts p0, p1, … by contender."""
    rows = [
        {"prompt_id": f"p{n}", "contender": name, "scorer": scorer, "measure": measure, "value": value}
        for name, values in (("base", base), ("tuned", tuned))
        for n, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


PEOPLE = votes({"ana": "ccbt", "ben": "ccbc"}).assign(category=["helpful", "helpful", "harmless", "harmless"] * 2)


def test_a_judge_is_compared_item_by_item():
    # People: c c b, and item 3 split (t and c), which is left out. The reward model prefers tuned, base, base.
    reward = scores("reward model", "score", [0, 1, 1, 0], [1, 0, 0, 9])
    whole, harmless, helpful = judges_against_people(PEOPLE, reward)
    assert (whole.items, whole.agreement.value, whole.category) == (3, pytest.approx(2 / 3), "")
    assert whole.confusion["contender"] == {"contender": 1, "baseline": 1, "tie": 0, "both_bad": 0}
    assert whole.confusion["baseline"]["baseline"] == 1
    assert [(j.category, j.items, j.agreement.value) for j in (harmless, helpful)] == [
        ("harmless", 1, 1.0), ("helpful", 2, 0.5),
    ]  # fmt: skip
    # κ: p_o = 2/3, p_e = (2·1 + 1·2)/9 = 4/9, κ = (2/9)/(5/9) = 0.4
    assert whole.kappa is not None and whole.kappa.value == pytest.approx(0.4)


def test_a_toxicity_scorer_prefers_less_of_its_leading_measure():
    toxic = scores("detoxify", "toxicity", [0.9, 0.9, 0.1, 0], [0.1, 0.1, 0.9, 0])
    misleading = scores("detoxify", "insult", [0, 0, 1, 0], [1, 1, 0, 0])
    (judge, *_) = judges_against_people(PEOPLE, pd.concat([misleading, toxic]))
    assert (judge.scorer, judge.measure, judge.agreement.value) == ("detoxify", "toxicity", 1.0)


def test_items_without_scores_are_counted_and_nothing_to_compare_is_nothing():
    some = scores("reward model", "score", [0, 0], [1, 1])
    assert [(j.items, j.unjudged) for j in judges_against_people(PEOPLE, some)] == [(2, 1)]
    other = some.assign(prompt_id="elsewhere")
    lengths = scores("text", "words", [1, 1, 1], [2, 2, 2])
    assert judges_against_people(PEOPLE, other) == judges_against_people(PEOPLE, lengths) == ()
    assert judges_against_people(PEOPLE.iloc[:0], some) == judges_against_people(PEOPLE, some.iloc[:0]) == ()
