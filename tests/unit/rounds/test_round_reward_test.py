"""Two reward models against people's verdicts on held-out pairs, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rlhf_core.data.io import write_jsonl
from rlhf_core.errors import DataError
from rlhf_core.rounds.reward_test import compare_reward_models, read_pairs

OUTCOMES = ("contender",) * 6 + ("baseline",) * 5 + ("tie",)


def pairs(simulated: bool = False) -> pd.DataFrame:
    """Twelve pairs on twelve prompts: people prefer six new texts, five old ones, and one pair is a tie."""
    rows = [
        {
            "item_id": n, "criterion": "overall", "prompt_id": f"e{n}", "prompt": f"Question {n}?", "category": "",
            "outcome": outcome, "simulated": simulated, "baseline": "base", "contender": "tuned",
            "baseline_text": f"old {n}", "contender_text": f"new {n}",
        }
        for n, outcome in enumerate(OUTCOMES)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def likes(word: str, but: tuple[int, ...] = ()):
    """A reward model that prefers texts with a word, or without it for some prompts."""

    def score(prompts: list[str], texts: list[str]) -> np.ndarray:
        return np.array([(word in text) != (int(text.split()[1]) in but) for text in texts], dtype=float)

    return score


def test_each_model_is_compared_with_people_and_the_second_with_the_first():
    """The first always says new: 6 of the 11 that people decided. The second errs on 0 alone: 10 of 11.

    Right or wrong, pair by pair: −1 on 0, 0 on 1–5, +1 on 6–10: a difference of (5 − 1)/11.
    """
    models = {"round-1": likes("new"), "round-2": likes("new", but=(0, 6, 7, 8, 9, 10))}
    found = compare_reward_models(pairs(), models, simulated=False)
    assert (found["pairs"], found["prompts"], found["decided_by_people"]) == (12, 12, 11)
    decided = {name: report["decided"]["value"] for name, report in found["models"].items()}
    assert decided == {"round-1": pytest.approx(6 / 11), "round-2": pytest.approx(10 / 11)}
    assert found["one_side"] == pytest.approx(6 / 11)
    assert found["models"]["round-2"]["agreement"]["value"] == pytest.approx(10 / 12)  # a score says no tie
    assert found["models"]["round-1"]["confusion"]["baseline"]["contender"] == 5
    change = found["difference"]
    assert change["value"] == pytest.approx(4 / 11) and change["low"] < 4 / 11 < change["high"]
    assert (change["n"], change["clusters"]) == (11, 11)


def test_equal_scores_count_half():
    """The first is always right; the second always the same score: ½ on each of 11, so −½ on all."""
    right = likes("new", but=(6, 7, 8, 9, 10))
    models = {"round-1": right, "round-2": lambda prompts, texts: np.zeros(len(texts))}
    found = compare_reward_models(pairs(), models, simulated=False)
    assert found["difference"]["value"] == pytest.approx(-0.5)
    assert found["models"]["round-2"]["decided"] is None


def test_where_people_decided_nothing_there_is_no_difference():
    undecided = pairs().assign(outcome="tie")
    found = compare_reward_models(undecided, {"round-1": likes("new"), "round-2": likes("old")}, simulated=False)
    assert found["difference"] is None and found["one_side"] is None and found["decided_by_people"] == 0


def test_simulated_votes_and_peoples_are_told_apart():
    models = {"round-1": likes("new"), "round-2": likes("new")}
    assert compare_reward_models(pairs(simulated=True), models, simulated=True)["simulated"] is True
    with pytest.raises(DataError, match="a consensus of simulated votes"):
        compare_reward_models(pairs(simulated=True), models, simulated=False)
    with pytest.raises(DataError, match=r"a consensus of people's votes.*A trial with simulated votes has no people's"):
        compare_reward_models(pairs(), models, simulated=True)


def test_an_empty_file_of_pairs_is_refused(tmp_path: Path):
    write_jsonl(tmp_path / "pairs.jsonl", [])
    with pytest.raises(DataError, match=r"pairs\.jsonl: holds no judged pair\. Begin the round anew"):
        read_pairs(tmp_path / "pairs.jsonl")
    write_jsonl(tmp_path / "pairs.jsonl", pairs().to_dict("records"))
    assert read_pairs(tmp_path / "pairs.jsonl").equals(pairs())
