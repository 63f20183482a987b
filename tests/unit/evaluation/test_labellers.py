"""What is said of each labeller: every share counted by hand, exact intervals, and who is remarked on."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rlhf_core.errors import DataError
from rlhf_core.evaluation.labellers import exact_interval, labeller_quality
from tests.ballot_factory import ballots, more


def row(frame: pd.DataFrame, labeller: str) -> pd.Series:
    return labeller_quality(frame).set_index("labeller").loc[labeller]


def counted(found: pd.Series, name: str) -> tuple[int, int]:
    return found[f"{name}_k"], found[f"{name}_n"]


def test_exact_interval_has_its_closed_forms():
    # All of n: low = 0.025^(1/n); none: high = 1 − 0.025^(1/n). 41 of 50: scipy's exact interval, [0.69, 0.91].
    low, high = exact_interval(np.array([10, 0, 41, 0]), np.array([10, 10, 50, 0]))
    exact = stats.binomtest(41, 50).proportion_ci(method="exact")
    assert low == pytest.approx([0.025 ** (1 / 10), 0, exact.low, 0])
    assert high == pytest.approx([1, 1 - 0.025 ** (1 / 10), exact.high, 1])
    assert (round(exact.low, 2), round(exact.high, 2)) == (0.69, 0.91)


def test_gold_items_are_compared_with_the_known_answer():
    frame = ballots({"ana": "c", "ben": "c"})
    gold = [("contender", "contender"), ("tie", "contender"), ("both_bad", "both_bad")]
    rows = [{"item_id": 10 + i, "outcome": given, "gold": known} for i, (given, known) in enumerate(gold)]
    found = row(more(frame, "gold", rows), "ana")
    assert counted(found, "gold") == (2, 3)
    assert found["gold"] == pytest.approx(2 / 3)
    assert found["gold_low"] < 2 / 3 < found["gold_high"]
    assert found["votes"] == 1  # gold items are no ordinary votes


def test_repeats_are_compared_with_the_same_labellers_first_vote():
    # ana voted c b t; repeats of items 0, 1 with outcomes c, c; of item 7, which she never saw, so it does not count.
    frame = ballots({"ana": "cbt", "ben": "bbb"})
    rows = [{"item_id": 20 + i, "repeat_of": of, "outcome": "contender"} for i, of in enumerate((0, 1, 7))]
    quality = more(frame, "repeat", [one | {"contender_side": "b"} for one in rows])
    assert counted(row(quality, "ana"), "consistency") == (1, 2)
    assert counted(row(quality, "ben"), "consistency") == (0, 0)
    assert np.isnan(row(quality, "ben")["consistency"]) and np.isnan(row(quality, "ben")["consistency_high"])


def test_the_others_consensus_leaves_the_labeller_out():
    # Item 0: c | c c agrees. 1: b | c c does not. 2: c | c b: the others are split. 3: c alone: no others. 4: t | t – agrees.
    frame = ballots({"ana": "cbcct", "ben": "ccc–t", "cy": "ccb––"})
    assert counted(row(frame, "ana"), "with_others") == (2, 3)
    # ben: 0 yes, 1: c | b c split, 2: c | c b split, 4: t | t yes
    assert counted(row(frame, "ben"), "with_others") == (2, 2)


def test_side_a_counts_decided_votes_only():
    # Contender on a a b b a: c b c b t: chose A, B, B, A, tie: 2 of 4
    frame = ballots({"ana": "cbcbt"}, contender_side=list("aabba"))
    assert counted(row(frame, "ana"), "side_a") == (2, 4)
    assert counted(row(frame, "ana"), "ties") == (1, 5)


def test_too_fast_is_below_the_words_at_500_a_minute():
    # 100 words need 12 s: 11.9 is too fast, 12 is not; a vote without a time does not count. Median of 11.9, 12, 30.
    frame = ballots({"ana": "cbct"}, reading_seconds=[11.9, 12.0, 30.0, np.nan], words=100)
    assert counted(row(frame, "ana"), "too_fast") == (1, 3)
    assert row(frame, "ana")["median_seconds"] == 12.0
    assert counted(row(frame.drop(columns=["words"]), "ana"), "too_fast") == (0, 0)


def test_criteria_have_rows_of_their_own():
    both = pd.concat([ballots({"ana": "cc"}), ballots({"ana": "tt", "ben": "tb"}, criterion="honest")])
    found = labeller_quality(both)
    assert found[["criterion", "labeller"]].to_numpy().tolist() == [
        ["honest", "ana"],
        ["honest", "ben"],
        ["overall", "ana"],
    ]
    assert found["ties_k"].tolist() == [2, 1, 0]


def test_who_leans_to_a_side_is_remarked_on_with_the_evidence():
    # 41 of 50 for A: P(K ≥ 41 | ½) = 2.8e-6; 30 of 50: 0.10, nothing to say. Everyone sees both sides equally often.
    votes = "c" * 41 + "b" * 9, "c" * 30 + "b" * 20
    found = labeller_quality(ballots(dict(zip(("ana", "ben"), votes, strict=True))).assign(item_id=range(100)))
    assert found["remarks"].tolist() == [("41 of 50 decided votes for side A [0.69, 0.91]; expected 0.50",), ()]


def test_failed_gold_is_remarked_on_even_alone():
    # P(K ≤ 2 | 10, 0.7) = 0.0016; 5 of 10: 0.15.
    def alone(right: int) -> tuple[str, ...]:
        known = ["contender"] * right + ["baseline"] * (10 - right)
        return row(
            more(ballots({"ana": "c"}), "gold", [{"item_id": i + 5, "gold": k} for i, k in enumerate(known)]), "ana"
        )["remarks"]

    assert alone(2) == ("2 of 10 known answers right [0.03, 0.56]; expected 0.70",)
    assert alone(5) == ()


def test_who_judges_unlike_the_others_is_remarked_on():
    # ana, ben and cy agree on 40 items; dan says the opposite. Others agree with a majority; dan never does.
    right = "cb" * 20
    found = row(ballots({"ana": right, "ben": right, "cy": right, "dan": "bc" * 20}), "dan")
    assert found["remarks"] == ("0 of 40 items judged as most others did [0.00, 0.09]; others 120 of 120",)


def test_many_ties_and_hurry_are_remarked_on():
    frame = ballots({"ana": "cb" * 20, "ben": "cb" * 20, "cy": "t" * 40}, words=100)
    frame["reading_seconds"] = np.where(frame["labeller"] == "cy", 3.0, 20.0)
    said = row(frame, "cy")["remarks"]
    assert "40 of 40 votes faster than 500 words a minute [0.91, 1.00]; expected 0.10" in said
    assert "40 of 40 votes for a tie or both bad [0.91, 1.00]; others 0 of 80" in said
    assert row(frame, "ana")["remarks"] == ()


def test_among_many_chance_is_seldom_remarked_on():
    # 200 labellers who flip coins over 50 items each: at 5% a head about ten would stand out for a side alone; with Bonferroni
    # any remark on sides has a probability under 5% in the whole.
    rng = np.random.default_rng(7)
    frame = ballots({f"l{i:03d}": "".join(rng.choice(list("cb"), 50)) for i in range(200)})
    frame["contender_side"] = rng.choice(list("ab"), len(frame))
    assert sum("side A" in remark for remarks in labeller_quality(frame)["remarks"] for remark in remarks) == 0


def test_nobody_is_removed():
    frame = ballots({"ana": "cb" * 20, "ben": "cb" * 20, "dan": "bc" * 20})
    assert labeller_quality(frame)["labeller"].tolist() == ["ana", "ben", "dan"]


@pytest.mark.slow
def test_a_hundred_thousand_votes_take_less_than_a_second():
    items = np.repeat(np.arange(20_000), 5)
    frame = (
        ballots({"ana": "c"}).drop(columns=["item_id", "labeller"]).merge(pd.DataFrame({"item_id": items}), how="cross")
    )
    frame["labeller"] = [f"l{n}" for n in (items * 7 + np.tile(np.arange(5), 20_000) * 31) % 200]
    frame["outcome"] = np.random.default_rng(0).choice(["contender", "baseline", "tie"], len(items))
    times = []
    for _ in range(3):
        started = perf_counter()
        assert len(labeller_quality(frame)) == 200
        times.append(perf_counter() - started)
    assert min(times) < 1


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (ballots({"ana": "c"}).drop(columns=["gold"]), r"columns are missing \(found \['gold'\]\)"),
        (ballots({"ana": "c"}).iloc[:0], "no votes to count"),
    ],
)
def test_votes_that_say_nothing_are_refused(frame: pd.DataFrame, message: str):
    with pytest.raises(DataError, match=message):
        labeller_quality(frame)
