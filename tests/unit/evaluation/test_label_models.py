"""Dawid & Skene and MACE: cases by hand, slow versions, and spammers found out."""

from __future__ import annotations

from math import exp, prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import digamma

from rlhf_core.evaluation import label_models
from rlhf_core.evaluation.label_models import Ballots, dawid_skene, mace

VOTES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=20)
STEPS = 3
Rows = list[tuple[int, int, int]]


def made(rows: Rows, width: int = 3) -> Ballots:
    """Ballots of (item, labeller, label), items and labellers numbered without gaps."""
    columns = (np.unique(column, return_inverse=True)[1] for column in np.array(rows)[:, :2].T)
    return Ballots(*columns, np.array(rows)[:, 2], width)


def table(verdicts: list[str]) -> Ballots:
    """Ballots from a string of digits for each labeller, one an item."""
    return made([(i, w, int(label)) for w, row in enumerate(verdicts) for i, label in enumerate(row)], 2)


def shares(rows: Rows, width: int) -> dict[int, list[float]]:
    """The share of each label among an item's votes."""
    found = {}
    for item in {i for i, _, _ in rows}:
        own = [label for i, _, label in rows if i == item]
        found[item] = [own.count(k) / len(own) for k in range(width)]
    return found


def slow_dawid_skene(rows: Rows, width: int, steps: int) -> list[list[float]]:
    """The equations word for word, item by item, with what never happened at 1e-10."""
    truth = shares(rows, width)
    for _ in range(steps):
        prior = [max(1e-10, sum(q[k] for q in truth.values()) / len(truth)) for k in range(width)]
        errors: dict[tuple[int, int, int], float] = {}
        for w in {w for _, w, _ in rows}:
            for k in range(width):
                given = [
                    max(1e-10, sum(truth[i][k] for i, v, said in rows if (v, said) == (w, m))) for m in range(width)
                ]
                errors |= {(w, k, m): given[m] / sum(given) for m in range(width)}
        weights = {
            item: [prior[k] * prod(errors[w, k, said] for i, w, said in rows if i == item) for k in range(width)]
            for item in truth
        }
        truth = {item: [x / sum(row) for x in row] for item, row in weights.items()}
    return [truth[item] for item in sorted(truth)]


def slow_mace(rows: Rows, width: int, steps: int) -> list[list[float]]:
    """The generative story word for word; exp ψ(count)/exp ψ(total) stands for a probability."""
    labellers = {w for _, w, _ in rows}
    knows, guesses = dict.fromkeys(labellers, 0.5), dict.fromkeys(labellers, 0.5)
    habit = {(w, said): 1 / width for w in labellers for said in range(width)}
    truth = shares(rows, width)

    def chance(w: int, given: int, true: int) -> float:
        return knows[w] * (given == true) + guesses[w] * habit[w, given]

    for _ in range(steps):
        weights = {
            item: [prod(chance(w, said, k) for i, w, said in rows if i == item) for k in range(width)] for item in truth
        }
        truth = {item: [x / sum(row) for x in row] for item, row in weights.items()}
        sure = [truth[i][said] * knows[w] / (knows[w] + guesses[w] * habit[w, said]) for i, w, said in rows]
        for w in labellers:
            a = 0.5 + sum(s for s, (_, v, _) in zip(sure, rows, strict=True) if v == w)
            b = 0.5 + sum(1 - s for s, (_, v, _) in zip(sure, rows, strict=True) if v == w)
            counts = [
                10 + sum(1 - s for s, (_, v, m) in zip(sure, rows, strict=True) if (v, m) == (w, said))
                for said in range(width)
            ]
            knows[w], guesses[w] = (exp(digamma(x) - digamma(a + b)) for x in (a, b))
            habit |= {(w, said): exp(digamma(counts[said]) - digamma(sum(counts))) for said in range(width)}
    return [truth[item] for item in sorted(truth)]


def test_dawid_skene_by_hand():
    # Items A: 0 0 0, B: 0 0 1. Shares A (1, 0), B (⅔, ⅓); p = (5/6, 1/6). The first two only ever say 0. The third says 0 of a
    # true 0 in 1 of 1 + ⅔: 3/5, and 1 of a true 1 always. B: 5/6·2/5 = 1/3 against 1/6·1: (⅔, ⅓) again; A: (1, 0). At rest.
    assert dawid_skene(table(["00", "00", "01"])) == pytest.approx(np.array([[1, 0], [2 / 3, 1 / 3]]), abs=1e-6)


def test_dawid_skene_turns_a_labeller_round_who_always_says_the_opposite():
    # Two agree on everything, the third always says the other: its votes are as good as theirs once turned round.
    truth = dawid_skene(table(["000111", "000111", "111000"]))
    assert truth[:, 1] == pytest.approx([0, 0, 0, 1, 1, 1], abs=1e-6)


@given(rows=VOTES)
def test_dawid_skene_agrees_with_the_equations_word_for_word(rows: Rows):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_models, "MAX_STEPS", STEPS)
        patch.setattr(label_models, "TOLERANCE", -1.0)
        assert dawid_skene(made(rows)) == pytest.approx(np.array(slow_dawid_skene(rows, 3, STEPS)), abs=1e-7)


@given(rows=VOTES)
def test_mace_agrees_with_its_story_word_for_word(rows: Rows):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_models, "MAX_STEPS", STEPS - 1)  # one step comes before the loop
        patch.setattr(label_models, "TOLERANCE", -1.0)
        assert mace(made(rows)) == pytest.approx(np.array(slow_mace(rows, 3, STEPS)), abs=1e-7)


@pytest.mark.parametrize("model", [dawid_skene, mace])
def test_a_good_labeller_outweighs_two_who_guess(model):
    # 300 items, labels ½ each: three labellers right 95% of the time, two flip a coin, one always says 1. The commonest vote
    # is wrong where two of the careful ones err or chance has it so; a model that knows them is wrong about 1 in 140
    # (two of three careful wrong: 3·0.05² = 0.75%).
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 2, 300)
    careful = np.where(rng.random((3, 300)) < 0.95, truth, 1 - truth)
    votes = np.vstack([careful, rng.integers(0, 2, (2, 300)), np.ones((1, 300), dtype=int)])
    ballots = table(["".join(map(str, row)) for row in votes])
    found = np.mean(model(ballots).argmax(axis=1) == truth)
    commonest = np.mean(ballots.shares().argmax(axis=1) == truth)
    assert found >= 0.975
    assert found > commonest + 0.02


@pytest.mark.parametrize("model", [dawid_skene, mace])
@given(rows=VOTES, names=st.permutations(range(3)))
def test_the_names_of_labels_and_the_order_of_votes_do_not_matter(model, rows: Rows, names: list[int]):
    renamed = [(i, w, names[label]) for i, w, label in reversed(rows)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_models, "MAX_STEPS", 10)
        assert model(made(renamed))[:, names] == pytest.approx(model(made(rows)), abs=1e-6)


def test_probabilities_are_those_of_each_item():
    for model in (dawid_skene, mace):
        truth = model(table(["0011", "0101", "0110"]))
        assert truth.shape == (4, 2)
        assert truth.sum(axis=1) == pytest.approx(np.ones(4))
