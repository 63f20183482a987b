"""The noisy Bradley–Terry model: its loss by hand, its gradient against differences, and labellers who lean to a side."""

from __future__ import annotations

from math import exp, log
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from rlhf_core.errors import ModelError
from rlhf_core.evaluation import side_bias
from rlhf_core.evaluation.side_bias import Comparisons, loss_and_gradient, noisy_bradley_terry

VOTES = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 1), st.booleans(), st.booleans()),
    min_size=1,
    max_size=15,
)


def made(rows) -> Comparisons:
    """Comparisons of (contender, baseline, labeller, contender won, contender was A)."""
    contenders, baselines, labellers, won, is_a = map(np.array, zip(*rows, strict=True))
    return Comparisons(contenders, baselines, labellers, won.astype(bool), is_a.astype(bool))


def test_the_loss_by_hand():
    # One vote, answer 0 beats 1 from side B; s = (1, 0), logit γ = 1, q = ½: a = −1.
    # m = σ(1)·σ(1) + (1 − σ(1))·σ(−½); prior (1² + (1 − 2)² + ½²)/2 = 1.125
    vote = made([(0, 1, 0, True, False)])
    sure, lean = 1 / (1 + exp(-1)), 1 / (1 + exp(0.5))
    loss, _ = loss_and_gradient(np.array([1.0, 0.0, 1.0, 0.5]), vote)
    assert loss == pytest.approx(1.125 - log(sure * sure + (1 - sure) * lean))


@given(rows=VOTES, seed=st.integers(0, 100))
def test_the_gradient_is_that_of_the_loss(rows, seed: int):
    votes = made(rows)
    x = np.random.default_rng(seed).normal(size=votes.answers + 2 * (int(votes.labellers.max()) + 1))
    steps = 1e-5 * np.eye(len(x))
    slopes = [(loss_and_gradient(x + h, votes)[0] - loss_and_gradient(x - h, votes)[0]) / 2e-5 for h in steps]
    assert loss_and_gradient(x, votes)[1] == pytest.approx(np.array(slopes), abs=1e-6)


def simulated(items: int, seed: int) -> tuple[Comparisons, np.ndarray]:
    """Five votes an item, sides drawn: two labellers read (right 95%), three choose A 95% of the time. True winners half each."""
    rng = np.random.default_rng(seed)
    better = rng.random(items) < 0.5
    rows = []
    for item in range(items):
        for labeller in range(5):
            is_a = bool(rng.random() < 0.5)
            usual = rng.random() < 0.95
            won = bool(better[item] == usual) if labeller < 2 else bool(is_a == usual)
            rows.append((2 * item, 2 * item + 1, labeller, won, is_a))
    return made(rows), better


def test_labellers_who_lean_to_a_side_are_found_and_outvoted():
    votes, better = simulated(200, 0)
    fitted = noisy_bradley_terry(votes)
    assert (fitted.attention[:2] > 0.8).all() and (fitted.attention[2:] < 0.4).all()
    assert (fitted.lean_to_a[2:] > 0.9).all()
    preferred = fitted.strengths[::2] > fitted.strengths[1::2]
    commonest = np.bincount(votes.contenders // 2, votes.contender_won) > 2.5
    assert (
        np.mean(preferred == better) > 0.93
    )  # the two careful ones disagree on 10% of items, which are then undecided
    assert np.mean(preferred == better) > np.mean(commonest == better) + 0.1


def test_unanimous_votes_raise_the_strength_as_the_prior_lets_them():
    # The mode of ln γσ(d)… for three wins lies above 0 and below what three wins alone would say (infinity); by symmetry the
    # two strengths are opposite, and the gradient vanishes there.
    fitted = noisy_bradley_terry(made([(0, 1, w, True, w % 2 == 0) for w in range(3)]))
    assert fitted.strengths[0] == pytest.approx(-fitted.strengths[1], abs=1e-4)
    assert 0.6 < expit(fitted.strengths[0] - fitted.strengths[1]) < 0.95


def test_an_answer_is_compared_through_others():
    # 0 beats 1 and 1 beats 2, three times each: 0 is better than 2 though nobody compared them.
    rows = [(a, a + 1, w, True, w % 2 == 0) for a in (0, 1) for w in range(3)]
    strengths = noisy_bradley_terry(made(rows)).strengths
    assert strengths[0] > strengths[1] > strengths[2]


def test_a_fit_that_did_not_end_is_refused(monkeypatch: pytest.MonkeyPatch):
    stopped = SimpleNamespace(success=False, message="too many steps", x=np.zeros(4))
    monkeypatch.setattr(side_bias, "minimize", lambda *args, **settings: stopped)
    with pytest.raises(ModelError, match="the noisy Bradley–Terry model was not fitted: too many steps"):
        noisy_bradley_terry(made([(0, 1, 0, True, True)]))
