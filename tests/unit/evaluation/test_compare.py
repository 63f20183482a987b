"""Comparisons of contenders, on scores small enough to work out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from rlhf_core.errors import DataError
from rlhf_core.evaluation.compare import best_of_summary, compare, kl_summary


def rows(
    contender: str, values: dict[str, float], scorer: str = "text", measure: str = "words"
) -> list[dict[str, Any]]:
    """Score rows of one contender; the category of a prompt is its first letter."""
    label = {"contender": contender, "scorer": scorer, "measure": measure}
    return [{"prompt_id": p, "category": p[0], "value": v} | label for p, v in values.items()]


def find(found: list[dict[str, Any]], **wanted: str) -> dict[str, Any]:
    """The one comparison with these labels."""
    (row,) = [row for row in found if all(row[name] == value for name, value in wanted.items())]
    return row


BASE = {"a1": 1.0, "a2": 2.0, "b1": 3.0, "b2": 6.0}
TUNED = {"a1": 3.0, "a2": 2.0, "b1": 7.0, "b2": 5.0}


def test_difference_and_shares_by_hand():
    row = find(compare(rows("base", BASE) + rows("tuned", TUNED)), category="")
    # Differences 2, 0, 4, −1: mean 5/4; two of four up, one down.
    assert row["difference"] == pytest.approx(1.25)
    assert (row["share_up"], row["share_down"], row["n"]) == (0.5, 0.25, 4)
    assert (row["mean_baseline"], row["mean_contender"]) == (3.0, 4.25)
    assert (row["baseline"], row["contender"], row["unit"]) == ("base", "tuned", "words")
    # Four pairs, t interval: deviations 0.75, −1.25, 2.75, −2.25, squares sum to 14.75; 14.75/3/4 = 1.229,
    # its root 1.109, times t_3 = 3.182: 3.528 to each side.
    assert row["high"] - row["difference"] == pytest.approx(3.528, abs=1e-3)


def test_pairs_are_matched_by_prompt_not_by_position():
    shuffled = dict(reversed(TUNED.items()))
    assert compare(rows("base", BASE) + rows("tuned", shuffled)) == compare(rows("base", BASE) + rows("tuned", TUNED))


def test_reward_differences_are_in_base_sd():
    scores = [*rows("base", BASE, "reward model", "score"), *rows("tuned", TUNED, "reward model", "score")]
    row = find(compare(scores), category="")
    # Base scores 1, 2, 3, 6: mean 3, squares 4 + 1 + 0 + 9 = 14, variance 14/3, sd 2.1602. 1.25 / 2.1602 = 0.5786.
    assert row["difference"] == pytest.approx(0.5786, abs=1e-4)
    assert (row["unit"], row["mean_contender"]) == ("base SD", 4.25)


def test_reward_scores_without_base_or_spread_keep_their_unit():
    flat = dict.fromkeys(BASE, 1.0)
    for first in (rows("sft", BASE, "reward model", "score"), rows("base", flat, "reward model", "score")):
        assert find(compare(first + rows("tuned", TUNED, "reward model", "score")), category="")["unit"] == "score"


def test_every_pair_and_every_category_in_order():
    found = compare(rows("tuned", TUNED) + rows("base", BASE) + rows("sft", BASE))
    pairs = list(dict.fromkeys((row["baseline"], row["contender"]) for row in found))
    assert pairs == [("base", "sft"), ("base", "tuned"), ("sft", "tuned")]
    assert [row["category"] for row in found[:3]] == ["", "a", "b"]
    assert find(found, baseline="base", contender="tuned", category="b")["difference"] == pytest.approx(
        1.5
    )  # (4 − 1)/2


def test_one_category_is_not_shown_twice():
    one = {"a1": 1.0, "a2": 2.0}
    assert [row["category"] for row in compare(rows("base", one) + rows("tuned", one))] == [""]


def test_prompts_of_one_side_only_are_left_out():
    row = find(compare(rows("base", BASE) + rows("tuned", TUNED | {"a9": 100.0})), category="")
    assert (row["n"], row["difference"]) == (4, 1.25)


def test_several_answers_to_a_prompt_are_averaged():
    twice = rows("tuned", TUNED) + rows("tuned", {"a1": 5.0})  # a1: (3 + 5)/2 = 4, one more than before, over four
    row = find(compare(rows("base", BASE) + twice), category="")
    assert (row["n"], row["difference"]) == (4, 1.5)


def test_one_prompt_has_no_interval():
    row = compare(rows("base", {"a1": 1.0}) + rows("tuned", {"a1": 2.0}))[0]
    assert (row["difference"], row["low"], row["high"]) == (1.0, None, None)


def test_units_of_shares_and_probabilities():
    shares = rows("base", BASE, measure="refusal") + rows("tuned", TUNED, measure="refusal")
    toxic = rows("base", BASE, "detoxify", "insult") + rows("tuned", TUNED, "detoxify", "insult")
    found = compare(shares + toxic)
    assert find(found, measure="refusal", category="")["unit"] == "share"
    assert find(found, measure="insult", category="")["unit"] == "probability"


def test_nothing_to_compare_gives_nothing():
    assert compare([]) == []
    assert compare(rows("base", BASE)) == []
    assert compare(rows("base", {"a1": 1.0}) + rows("tuned", {"b1": 1.0})) == []


def test_missing_columns_and_values_are_named():
    with pytest.raises(DataError, match=r"scores: columns are missing \(found \['measure', 'value'\]"):
        compare([{"prompt_id": "p", "category": "", "contender": "base", "scorer": "text"}])
    broken = rows("base", {"a1": None}) + rows("tuned", TUNED)  # type: ignore[dict-item]
    with pytest.raises(DataError, match=r"1 scores are not numbers.*'prompt_id': 'a1'"):
        compare(broken)


def test_kl_summary_by_hand():
    # 4, 6, 8: mean 6, sd 2, t_2 = 4.303: 4.303·2/√3 = 4.969 to each side.
    kl = kl_summary([4.0, 6.0, 8.0])
    assert (kl["value"], kl["n"], kl["unit"]) == (6.0, 3, "nats per response")
    assert kl["high"] - kl["value"] == pytest.approx(4.969, abs=1e-3)


def test_best_of_n_is_a_baseline_of_the_tuned_model_and_comes_with_the_bound_on_its_kl():
    """The bound by hand: log 8 − 7/8 = 2.0794 − 0.875."""
    found = compare(rows("tuned", TUNED) + rows("best-of-8", BASE))
    assert {(row["baseline"], row["contender"]) for row in found} == {("best-of-8", "tuned")}
    summary = best_of_summary(["base", "best-of-8", "tuned"])
    assert summary.keys() == {"best-of-8"}
    best = summary["best-of-8"]
    assert (best["n"], best["base"], best["unit"]) == (8, "sft", "nats per response")
    assert best["kl_bound"] == pytest.approx(1.2044, abs=1e-4)
    assert "Stiennon et al. 2020" in best["source"] and "Beirami et al. 2024" in best["source"]
