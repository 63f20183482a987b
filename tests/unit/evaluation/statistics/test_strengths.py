"""Strengths of several contenders: by hand, against a plain maximum of the likelihood, and what votes cannot tell."""

from __future__ import annotations

from math import inf, log

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from rlhf_core.errors import DataError
from rlhf_core.evaluation.statistics import bradley_terry
from rlhf_core.evaluation.statistics.connections import AHEAD, ALONE, APART, BEHIND, NOBODY


def among(*rows: tuple[str, str, str, int], prompts: int = 0) -> pd.DataFrame:
    """Votes (contender, baseline, outcome, how many), each on a prompt of its own or spread over `prompts` of them."""
    votes = [(c, b, outcome) for c, b, outcome, n in rows for _ in range(n)]
    frame = pd.DataFrame(votes, columns=["contender", "baseline", "outcome"])
    ids = [f"p{i % prompts if prompts else i}" for i in range(len(frame))]
    return frame.assign(prompt_id=ids, labeller="ana", score=0.5, contender_side="a", simulated=False)


def values(votes: pd.DataFrame, **settings) -> dict[str, float]:
    return {name: strength.value for name, strength in bradley_terry(votes, **settings).strengths.items()}


def test_two_contenders_by_hand():
    # 30 wins and 10 losses: π_i/π_j = 3, log 3 apart around 0; who is called the baseline does not matter.
    votes = among(("a", "b", "contender", 20), ("b", "a", "baseline", 10), ("a", "b", "baseline", 10))
    found = bradley_terry(votes)
    assert list(found.strengths) == ["a", "b"]
    assert [s.value for s in found.strengths.values()] == pytest.approx([log(3) / 2, -log(3) / 2], abs=1e-6)
    assert (found.tie, found.unplaced, found.both_bad) == (0.0, {}, {"a": 0.0, "b": 0.0})


def test_ties_by_hand():
    # 18 wins, 8 losses, 6 ties of 32: P(tie)/√(P(win)·P(loss)) = 2ν = 6/12, so ν = ¼; strengths log(18/8) apart.
    found = bradley_terry(among(("a", "b", "contender", 18), ("a", "b", "baseline", 8), ("a", "b", "tie", 6)))
    assert found.tie == pytest.approx(0.25, abs=1e-6)
    assert found.strengths["a"].value == pytest.approx(log(18 / 8) / 2, abs=1e-6)


def test_both_bad_prefers_nobody():
    # Ten more votes call both bad: the strengths stay, and the share of them is said.
    rows = [("a", "b", "contender", 18), ("a", "b", "baseline", 8), ("a", "b", "tie", 6)]
    found = bradley_terry(among(*rows, ("a", "b", "both_bad", 8)))
    assert found.strengths["a"].value == pytest.approx(log(18 / 8) / 2, abs=1e-6)
    assert found.both_bad == {"a": 0.2, "b": 0.2}


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_maximum_of_the_likelihood(seed: int):
    rng = np.random.default_rng(seed)
    left = rng.integers(0, 4, 300)
    right = (left + rng.integers(1, 4, 300)) % 4
    outcome = rng.choice(["contender", "baseline", "tie"], 300, p=[0.5, 0.3, 0.2])

    def loss(parameters):
        strength, ties = np.append(parameters[:3], -parameters[:3].sum()), np.exp(parameters[3])
        one, other = np.exp(strength[left]), np.exp(strength[right])
        tie = 2 * ties * np.sqrt(one * other)
        chance = np.select([outcome == "contender", outcome == "baseline"], [one, other], tie) / (one + other + tie)
        return -np.log(chance).sum()

    best = minimize(loss, np.zeros(4), tol=1e-10).x
    rows = [(f"c{a}", f"c{b}", o, 1) for a, b, o in zip(left, right, outcome, strict=True)]
    found = values(among(*rows))
    assert [found[f"c{i}"] for i in range(3)] == pytest.approx(best[:3], abs=1e-3)


def test_the_interval_of_independent_votes_is_what_theory_says():
    # 400 votes, 300 to 100: Var(log odds) = 1/300 + 1/100, a strength is half of that: SE 0.5·√(4/300) = 0.05774.
    found = bradley_terry(among(("a", "b", "contender", 300), ("a", "b", "baseline", 100)), bootstrap=2000)
    strength = found.strengths["a"]
    assert (strength.high - strength.low) / 2 == pytest.approx(1.966 * 0.05774, rel=0.05)
    assert (strength.n, strength.clusters, strength.method) == (
        400,
        400,
        "Bayesian bootstrap of prompts, 2000 replicates",
    )


def test_votes_on_one_prompt_stay_together():
    # Every vote five times over on its prompt: five times the votes, the same prompts, the same interval.
    rows = [("a", "b", "contender", 60), ("a", "b", "baseline", 40)]
    once = among(*rows)
    often = bradley_terry(pd.concat([once] * 5), seed=3).strengths["a"]
    single = bradley_terry(once, seed=3).strengths["a"]
    assert (often.low, often.high) == pytest.approx((single.low, single.high), abs=1e-6)
    assert (often.n, often.clusters) == (500, 100)


def test_few_prompts_give_no_interval():
    strength = bradley_terry(among(("a", "b", "contender", 6), ("a", "b", "baseline", 6), prompts=4)).strengths["a"]
    assert (strength.low, strength.high, strength.method) == (-inf, inf, "none: fewer than 10 prompts")


def test_who_cannot_be_placed_is_said_in_words():
    # a and b beat each other; "up" beat a and lost to nobody, "down" never won, "far" and "off" met nobody else,
    # and "odd" only lost to "up".
    found = bradley_terry(
        among(
            ("a", "b", "contender", 8), ("a", "b", "baseline", 4), ("up", "a", "contender", 2),
            ("down", "b", "baseline", 2), ("far", "off", "contender", 2), ("up", "odd", "contender", 1),
        )
    )  # fmt: skip
    assert found.unplaced == {"up": AHEAD, "down": BEHIND, "far": ALONE, "off": ALONE, "odd": APART}
    assert [s.value for s in found.strengths.values()] == pytest.approx([log(2) / 2, -log(2) / 2], abs=1e-6)
    assert all(np.isfinite(s.value) for s in found.strengths.values())


def test_where_nobody_can_be_placed_everyone_is_told():
    found = bradley_terry(among(("a", "b", "contender", 5)))
    assert (found.strengths, found.unplaced) == ({}, {"a": NOBODY, "b": NOBODY})


def test_a_tie_places_a_contender_among_those_who_won_and_lost():
    # c only ever tied with a and b, who beat each other equally often: all three are equal.
    rows = [("a", "b", "contender", 5), ("a", "b", "baseline", 5), ("a", "c", "tie", 2), ("b", "c", "tie", 2)]
    assert values(among(*rows)) == pytest.approx({"a": 0, "b": 0, "c": 0}, abs=1e-6)


def test_a_tie_alone_places_nobody():
    # 5 wins, no loss, a tie: with π_a/π_b = r², ν = r/10 the likelihood of win and tie grows with r for ever.
    found = bradley_terry(among(("a", "b", "contender", 5), ("a", "b", "tie", 1)))
    assert (found.strengths, found.unplaced) == ({}, {"a": NOBODY, "b": NOBODY})


def test_strengths_that_do_not_settle_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rlhf_core.evaluation.statistics.strengths.STEPS", 1)
    with pytest.raises(DataError, match=r"strengths did not settle in 1 steps\. Judge more pairs that link"):
        bradley_terry(among(("a", "b", "contender", 5), ("a", "b", "baseline", 2), ("b", "c", "tie", 1)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bradley_terry(among(("a", "b", "contender", 1)).iloc[:0]), "no votes to count"),
        (
            lambda: bradley_terry(among(("a", "b", "tie", 2)).assign(simulated=[True, False])),
            "several values of `simulated`",
        ),
    ],
)
def test_votes_that_cannot_be_compared_are_refused(call, message: str):
    with pytest.raises(DataError, match=message):
        call()
