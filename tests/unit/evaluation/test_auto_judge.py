"""Verdicts of an automatic judge by hand: both orders, ties, what stands, and whose items they are."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pytest

from rlhf_core.evaluation.auto_judge import AutoVerdict, Reading, choices, pairs_of, summarise_verdicts, text_key

SAID = {"A": "A", "B": "B", "t": "tie", "x": "both bad", "?": None}


def verdict(
    said: str, prompt: str = "p0", pair: str = "k", baseline: str = "base", contender: str = "tuned"
) -> AutoVerdict:
    """`said` are the letters of the two orders, the baseline's answer first in the first."""
    readings = [
        Reading(first=first, said=SAID[one], answer=one)
        for first, one in zip(("baseline", "contender"), said, strict=True)
    ]
    return AutoVerdict(
        pair=pair, prompt_id=prompt, category="", baseline=baseline, contender=contender, criterion="overall", readings=readings
    )  # fmt: skip


def verdicts(*said: str) -> list[AutoVerdict]:
    return [verdict(one, f"p{n}") for n, one in enumerate(said)]


@pytest.mark.parametrize(
    ("said", "outcome", "stands"),
    [
        ("BA", "contender", True),
        ("AB", "baseline", True),
        ("AA", "tie", False),
        ("BB", "tie", False),
        ("tt", "tie", True),
        ("xx", "both_bad", True),
        ("Bt", "tie", False),
        ("tx", "tie", False),
        ("B?", None, False),
        ("??", None, False),
    ],
)
def test_a_side_wins_only_in_both_orders(said: str, outcome: str | None, stands: bool):
    one = verdict(said)
    assert (one.outcome, one.stands) == (outcome, stands)


def test_a_summary_by_hand():
    """Of five with a verdict: wins 2, loss 1, both bad 1, swayed tie 1. Score (2 + ½ + ½)/5 = 0.6; 4 of 5 stand. Readings
    that chose a side: BA BA AB AA, in 5 of 8 the answer shown first."""
    (found,) = summarise_verdicts(verdicts("BA", "BA", "AB", "AA", "xx", "B?"))
    assert (found.items, found.unclear, found.swayed) == (5, 1, 1)
    assert found.outcomes == {"contender": 2, "baseline": 1, "tie": 1, "both_bad": 1}
    assert found.win_rate and found.stands and found.first
    assert (found.win_rate.value, found.win_rate.n, found.stands.value) == (pytest.approx(0.6), 5, pytest.approx(0.8))
    assert (found.first.value, found.first.n, found.first.clusters) == (pytest.approx(5 / 8), 8, 4)
    assert found.win_rate.low < 0.6 < found.win_rate.high


def test_items_of_one_prompt_are_one_cluster():
    """Ten copies of one verdict are no ten prompts: the interval is that of two."""
    rows = [verdict("BA", "p0")] * 10 + [verdict("AB", "p1")] * 10
    (found,) = summarise_verdicts(rows)
    assert found.win_rate and found.win_rate.clusters == 2
    assert found.win_rate.high - found.win_rate.low > 0.7


def test_comparisons_are_told_apart_and_nothing_may_be_clear():
    found = summarise_verdicts([verdict("??"), verdict("BA", baseline="sft")])
    assert [(one.baseline, one.items, one.unclear) for one in found] == [("base", 0, 1), ("sft", 1, 0)]
    assert found[0].win_rate is found[0].stands is found[0].first is None


def test_a_ranking_is_judged_pair_by_pair_and_gold_not_at_all():
    items = {
        1: {"prompt_id": "p", "prompt": "Why?", "category": "", "texts": {"a": "1", "b": "2", "c": "3"}},
        2: {"prompt_id": "g", "prompt": "Gold?", "category": "", "texts": {"gold:x": "1", "gold:y": "2"}},
    }
    found = pairs_of(items, ("a", "b", "c"))
    assert [(pair.baseline, pair.contender, pair.texts) for pair in found] == [
        ("a", "b", ("1", "2")), ("a", "c", ("1", "3")), ("b", "c", ("2", "3")),
    ]  # fmt: skip


def agreed(prompts: Sequence[str], baseline: str = "base", contender: str = "tuned") -> pd.DataFrame:
    rows = [
        {"item_id": n, "prompt_id": prompt, "baseline": baseline, "contender": contender, "criterion": "overall"}
        for n, prompt in enumerate(prompts)
    ]
    return pd.DataFrame(rows)


SHOWN = {(f"p{n}", name): f"{name} {n}" for n in range(3) for name in ("base", "tuned")}


def key(n: int) -> str:
    return text_key(f"base {n}", f"tuned {n}")


def test_a_verdict_counts_for_the_very_texts_that_people_saw():
    """p0 as judged; p1 was written anew since; of p2 there is no verdict, and p3 nobody was shown."""
    rows = [verdict("BA", "p0", key(0)), verdict("BA", "p1", "other"), verdict("B?", "p2", key(2)), verdict("BA", "p3")]
    found = choices(agreed(["p0", "p1", "p2", "p3"]), rows, SHOWN)
    assert found.to_dict("records") == [{"item_id": 0, "criterion": "overall", "outcome": "contender"}]


def test_a_comparison_the_other_way_round_is_turned():
    rows = [verdict("BA", "p0", key(0)), verdict("xx", "p1", key(1)), verdict("AA", "p2", key(2))]
    found = choices(agreed(["p0", "p1", "p2"], "tuned", "base"), rows, SHOWN)
    assert found["outcome"].tolist() == ["baseline", "both_bad", "tie"]


def test_the_order_of_texts_matters_to_their_key():
    assert text_key("a", "b") != text_key("b", "a") != text_key("ba", "")
