"""The reward model's report, on cases small enough to work out by hand."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest

from rlhf_core.data.records import Completion, Ranking
from rlhf_core.errors import DataError
from rlhf_core.evaluation.reward_eval import calibration, collect_pairs, kendall_tau, reward_report


def ranking(
    name: str, order: list[list[str]], category: str = "helpful", lengths: dict[str, int] | None = None
) -> Ranking:
    """A ranking of completions named by letters; each text is its letter repeated (twice, unless `lengths` says)."""
    letters = sorted(letter for group in order for letter in group)
    completions = [Completion(id=a, text=a * (lengths or {}).get(a, 2)) for a in letters]
    return Ranking(id=name, prompt=f"Question {name}", completions=completions, ranking=order, category=category)


def test_pairs_follow_the_ranking_and_ties_form_none():
    # b > {a, c}: two pairs, b−a = 3 − 1 and b−c = 3 − 4; a and c tie and form none.
    pairs = collect_pairs([ranking("p", [["b"], ["a", "c"]], lengths={"b": 5})], [[1.0, 3.0, 4.0]])
    assert sorted(pairs.margin) == [-1.0, 2.0]
    assert sorted(pairs.correct) == [0.0, 1.0]
    assert list(pairs.longer) == [3, 3]  # 5 characters against 2


def test_reversing_a_ranking_negates_every_margin_exactly():
    """Claim 9: swapped pairs lead by as much the other way, to the last bit."""
    scores = [[0.1, 0.7, 0.3]]
    forward, backward = (collect_pairs([ranking("p", [[i] for i in order])], scores).margin for order in ("abc", "cba"))
    assert forward.tolist() == (-backward).tolist()


def test_equal_scores_are_half_right():
    report = reward_report([ranking("p", [["a"], ["b"]]), ranking("q", [["a"], ["b"]])], [[1.0, 1.0], [2.0, 1.0]])
    assert report["accuracy"]["value"] == 0.75  # (½ + 1) / 2
    assert report["n_pairs"] == report["n_prompts"] == 2


def test_report_counts_pairs_by_category():
    rankings = [ranking("p", [["a"], ["b"], ["c"]]), ranking("q", [["b"], ["a"]], "honest")]
    report = reward_report(rankings, [[3.0, 2.0, 1.0], [1.0, 0.0]])
    # p: all three pairs right; q: b should win and a scores higher, wrong.
    rows = {row["category"]: row for row in report["by_category"]}
    assert (rows["helpful"]["accuracy"], rows["helpful"]["n_pairs"], rows["helpful"]["n_prompts"]) == (1.0, 3, 1)
    assert (rows["honest"]["accuracy"], rows["honest"]["n_pairs"]) == (0.0, 1)
    assert report["accuracy"]["value"] == 0.75
    assert report["accuracy"]["low"] < 0.75 < report["accuracy"]["high"]


def test_accuracy_interval_is_clustered_by_prompt():
    # Ten prompts of three pairs each, all right or all wrong: ten independent answers, not thirty.
    rankings = [ranking(f"p{n}", [["a"], ["b"], ["c"]]) for n in range(10)]
    scores = [[3.0, 2.0, 1.0] if n < 6 else [1.0, 2.0, 3.0] for n in range(10)]
    accuracy = reward_report(rankings, scores)["accuracy"]
    # Clusters of equal size: V = 0.24/9, so 9 answers at t₉ = 2.262157. Wilson: s = t₉²/9 = 0.568595, to each side
    # √(0.24·s + s²/4)/(1 + s) = 0.29717; as if independent, s = z²/30 = 0.128049, it would be 0.165.
    assert (accuracy["high"] - accuracy["low"]) / 2 == pytest.approx(0.29717, abs=1e-4)


def test_calibration_error_by_hand():
    # Margins ±log(4): confidence 0.8, three right of four: accuracy 0.75, error 0.05.
    # Margin log(1.5) twice, both right: confidence 0.6, accuracy 1, error 0.4. Together (4·0.05 + 2·0.4)/6 = 1/6.
    margins = np.array([log(4)] * 3 + [-log(4)] + [log(1.5)] * 2)
    error, bins = calibration(margins)
    assert error == pytest.approx(1 / 6)
    assert [b["n"] for b in bins] == [2, 4]
    assert [b["confidence"] for b in bins] == pytest.approx([0.6, 0.8])
    assert all(b["low"] - 1e-9 <= b["confidence"] <= b["high"] + 1e-9 for b in bins)


def test_calibration_takes_in_the_ends():
    # Margin 0 is confidence ½ and half right (error 0); margin 50 is confidence 1 and right (error e⁻⁵⁰).
    error, bins = calibration(np.array([0.0, 50.0]))
    assert (bins[0]["low"], bins[-1]["high"]) == (0.5, 1.0)
    assert error == pytest.approx(exp(-50), abs=1e-12)


def test_kendall_tau_by_hand():
    # p: order a > b > c, scores 3, 1, 2: one of three pairs discordant, τ = (2 − 1)/3. q: reversed, τ = −1.
    # r: all tied in the ranking, no τ, left out. Mean (1/3 − 1)/2 = −1/3.
    rankings = [ranking("p", [["a"], ["b"], ["c"]]), ranking("q", [["a"], ["b"]]), ranking("r", [["a", "b"]])]
    assert kendall_tau(rankings, [[3.0, 1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]) == pytest.approx(-1 / 3)


def test_kendall_tau_is_missing_when_all_scores_agree():
    assert kendall_tau([ranking("p", [["a"], ["b"]])], [[1.0, 1.0]]) is None


def test_length_bias_by_hand():
    # Chosen a (5 characters) over b (2), and chosen a (2) over b (5): the longer wins half of two.
    rankings = [ranking("p", [["a"], ["b"]], lengths={"a": 5}), ranking("q", [["a"], ["b"]], lengths={"b": 5})]
    # Within each prompt scores go with length: centred scores ±½ against centred lengths ±1.5, correlation exactly 1,
    # whatever the levels of the two prompts (10 and 0).
    length = reward_report(rankings, [[11.0, 10.0], [0.0, 1.0]])["length"]
    assert length["longer_wins"] == 0.5
    assert length["score_length_correlation"] == pytest.approx(1.0)


def test_pairs_of_equal_length_say_nothing_of_length():
    # Longer chosen, shorter chosen, equally long: one of the two that differ. Centred scores ±½, ±1, ±½ against centred
    # lengths ±1.5, ∓1.5, 0: Σ products 2·(0.75 − 1.5) = −1.5, Σ squares 3 and 9, so −1.5/√27.
    rankings = [
        ranking("p", [["a"], ["b"]], lengths={"a": 5}), ranking("q", [["a"], ["b"]], lengths={"b": 5}),
        ranking("r", [["a"], ["b"]]),
    ]  # fmt: skip
    length = reward_report(rankings, [[11.0, 10.0], [3.0, 1.0], [1.0, 0.0]])["length"]
    assert length["longer_wins"] == 0.5
    assert length["score_length_correlation"] == pytest.approx(-1.5 / 27**0.5)


def test_length_is_missing_when_all_are_equally_long():
    length = reward_report([ranking("p", [["a"], ["b"]])], [[1.0, 0.0]])["length"]
    assert length == {"longer_wins": None, "score_length_correlation": None}


def test_margin_bins_are_quarters():
    # Eight prompts with margins 1…8, the two smallest wrong: the first quarter 0, the others 1.
    margins = [-1.0, -2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    report = reward_report([ranking(f"p{n}", [["a"], ["b"]]) for n in range(8)], [[m, 0.0] for m in margins])
    assert [b["accuracy"] for b in report["margin_bins"]] == [0.0, 1.0, 1.0, 1.0]
    smallest = report["margin_bins"][0]
    assert (smallest["low"], smallest["high"], smallest["n"]) == (1.0, 2.0, 2)


def test_scores_that_do_not_match_are_refused():
    one = [ranking("p7", [["a"], ["b"]])]
    with pytest.raises(DataError, match=r"0 lists of scores for 1 rankings"):
        reward_report(one, [])
    with pytest.raises(DataError, match=r"ranking p7: expected 2 finite scores \(found \[1.0\]"):
        reward_report(one, [[1.0]])
    with pytest.raises(DataError, match=r"ranking p7: expected 2 finite scores"):
        reward_report(one, [[1.0, float("nan")]])


def test_rankings_of_ties_only_are_refused():
    with pytest.raises(DataError, match=r"no pair to compare\. Every held-out ranking is all ties"):
        reward_report([ranking("p", [["a", "b"]])], [[1.0, 2.0]])
