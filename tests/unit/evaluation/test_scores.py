"""The long table of scores."""

from __future__ import annotations

import pytest

from rlhf_core.data.records import ContenderCompletion
from rlhf_core.errors import ScorerError
from rlhf_core.evaluation.scores import describe_scorers, reward_rows, text_rows, toxicity_rows
from rlhf_core.evaluation.toxicity import ToxicityScorer


def completion(text: str, finished: bool = True) -> ContenderCompletion:
    return ContenderCompletion(
        prompt_id="p1", prompt="Why?", category="honest", contender="tuned", text=text, tokens=3, finished=finished
    )


SCORER = ToxicityScorer("fake", "1", ("insult",), 0.5, "all of them", lambda texts: {"insult": [0.25] * len(texts)})


def test_text_rows_by_hand():
    values = {
        (r["measure"], n): r["value"] for n, r in enumerate(text_rows([completion("I can't help with that.", False)]))
    }
    assert values == {("words", 0): 5.0, ("finished", 1): 0.0, ("refusal", 2): 1.0}


def test_what_is_not_known_of_another_programs_answer_is_no_row():
    """Whether it was cut off is unknown, which is neither 0 nor 1."""
    imported = ContenderCompletion(prompt_id="p2", prompt="Why?", contender="theirs", text="Because.")
    rows = text_rows([completion("Yes.", False), imported])
    assert [(r["measure"], r["contender"], r["value"]) for r in rows] == [
        ("words", "tuned", 1.0),
        ("words", "theirs", 1.0),
        ("finished", "tuned", 0.0),
        ("refusal", "tuned", 0.0),
        ("refusal", "theirs", 0.0),
    ]


def test_rows_carry_prompt_category_and_contender():
    (row,) = reward_rows([completion("Yes.")], [1.5])
    assert row == {
        "prompt_id": "p1",
        "category": "honest",
        "contender": "tuned",
        "scorer": "reward model",
        "measure": "score",
        "value": 1.5,
    }


def test_toxicity_rows_name_scorer_and_category():
    (row,) = toxicity_rows([completion("Yes.")], SCORER)
    assert (row["scorer"], row["measure"], row["value"]) == ("fake", "insult", 0.25)


def test_no_completions_give_no_rows():
    assert text_rows([]) == toxicity_rows([], SCORER) == reward_rows([], []) == []


def test_a_score_for_every_completion_is_asked_for():
    with pytest.raises(ScorerError, match="reward model: 1 values of score for 2 completions"):
        reward_rows([completion("Yes."), completion("No.")], [1.0])


def test_every_scorer_says_what_it_does_not_see():
    described = describe_scorers([SCORER], "packaged:minilm-l6", optimised=True)
    assert list(described) == ["reward model", "fake", "text"]
    assert all(row["blind_spots"] and row["version"] and "threshold" in row for row in described.values())


def test_a_reward_model_that_was_only_an_audit_is_not_said_to_have_been_pleased():
    said = [describe_scorers([], "m", optimised=o)["reward model"]["blind_spots"] for o in (True, False)]
    assert "trained to please this very reward model" in str(said[0])
    assert "trained for something else than this reward model's score" in str(said[1])
