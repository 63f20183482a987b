"""What several labellers' votes say about the true outcome, each labeller trusted as far as the others bear them out.

Both models are fitted by EM from the shares of the votes, with no random start: the same votes give the same answer.
Why they are not crowd-kit's: docs/consensus.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
MAX_STEPS = 500
TOLERANCE = 1e-6
"""EM ends when no probability moves by more than this."""
NEVER = 1e-10
"""What a labeller never did counts as this probability, so that one vote cannot rule an outcome out by log 0."""
MACE_TRUST = (0.5, 0.5)
"""Beta prior of being attentive and of guessing (Hovy et al. 2013, section 3)."""
MACE_STRATEGY = 10.0
"""Dirichlet prior of a guesser's answers, each of them (the same)."""


@dataclass(frozen=True)
class Ballots:
    """Votes as codes, each (vote,): `items`, `labellers` and the `labels` they gave, of which there are `width`."""

    items: Codes
    labellers: Codes
    labels: Codes
    width: int

    def shares(self) -> Floats:
        """Return the share of an item's votes that each label has, (item, label)."""
        counts = self.sum_items(np.eye(self.width)[self.labels])
        return counts / counts.sum(axis=1, keepdims=True)

    def sum_items(self, values: Floats) -> Floats:
        """Sum (vote, column) over the votes of each item, (item, column)."""
        return _sums(self.items, values)

    def sum_labellers(self, values: Floats) -> Floats:
        """Sum (vote, column) over the votes of each labeller and given label, (labeller, label, column)."""
        flat = _sums(self.labellers * self.width + self.labels, values, (self.labellers.max() + 1) * self.width)
        return flat.reshape(-1, self.width, values.shape[1])


def dawid_skene(ballots: Ballots) -> Floats:
    """Return P(true label | votes), (item, label): each labeller has an own table of errors π, (true, given).

    q_ik ∝ p_k Π_v π_{w(v)}(k, l_v) over item i's votes v; p_k = mean of q_ik; π_w(k, l) = Σ_v q_{i(v)k}·[l_v = l]/Σ_v q_{i(v)k}
    over labeller w's votes. Maximum likelihood: a labeller of few votes is taken at face value.

    Source: Dawid & Skene (1979), Applied Statistics 28, equations 2.3–2.5.
    """

    def step(truth: Floats) -> Floats:
        prior = np.maximum(truth.mean(axis=0), NEVER)
        given = np.maximum(ballots.sum_labellers(truth[ballots.items]), NEVER)  # (labeller, given, true)
        errors = given / given.sum(axis=1, keepdims=True)
        return _normalised(np.log(prior) + ballots.sum_items(np.log(errors[ballots.labellers, ballots.labels])))

    return _until_still(step, ballots.shares())


def mace(ballots: Ballots) -> Floats:
    """Return P(true label | votes), (item, label): a labeller either knows the label or guesses by a habit of their own.

    P(l | true k) = θ_w·[l = k] + (1 − θ_w)·ξ_w(l), all labels equally likely beforehand; θ_w ~ Beta(½, ½), ξ_w ~
    Dirichlet(10), fitted by variational Bayes: E[log x] of the expected counts stands for log x.

    Source: Hovy, Berg-Kirkpatrick, Vaswani & Hovy (2013), NAACL, section 3.
    """
    own = np.eye(ballots.width)[ballots.labels]

    def step(truth: Floats, knows: Floats, guess: Floats) -> tuple[Floats, Floats, Floats]:
        sure, blind = knows[ballots.labellers], guess[ballots.labellers, ballots.labels]
        truth = _normalised(ballots.sum_items(np.log(sure[:, None] * own + blind[:, None])))
        attentive = truth[ballots.items, ballots.labels] * sure / (sure + blind)
        counts = ballots.sum_labellers(np.stack([attentive, 1 - attentive], axis=1))  # (labeller, label, 2)
        trust = _expected(counts.sum(axis=1) + np.array(MACE_TRUST))
        return truth, trust[:, 0], trust[:, 1:] * _expected(counts[:, :, 1] + MACE_STRATEGY)

    labellers, width = int(ballots.labellers.max()) + 1, ballots.width
    start = np.full(labellers, 0.5), np.full((labellers, width), 0.5 / width)
    truth, knows, guess = step(ballots.shares(), *start)
    for _ in range(MAX_STEPS):
        before = truth
        truth, knows, guess = step(truth, knows, guess)
        if np.abs(truth - before).max() <= TOLERANCE:
            break
    return truth


def _until_still(step: Callable[[Floats], Floats], state: Floats) -> Floats:
    for _ in range(MAX_STEPS):
        before, state = state, step(state)
        if np.abs(state - before).max() <= TOLERANCE:
            break
    return state


def _normalised(logs: Floats) -> Floats:
    """Return probabilities by row of their logarithms up to a constant."""
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def _expected(counts: Floats) -> Floats:
    """Return exp E[log x] of x ~ Dirichlet(counts), by row."""
    return np.exp(digamma(counts) - digamma(counts.sum(axis=1, keepdims=True)))


def _sums(codes: Codes, values: Floats, size: int = 0) -> Floats:
    sums = [np.bincount(codes, weights=column, minlength=size) for column in values.T]
    return np.stack(sums, axis=1).astype(np.float64)
