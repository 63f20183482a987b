"""Which of two answers is better when some labellers lean to a side: a noisy Bradley–Terry model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from rlhf_core.errors import ModelError

Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
STRENGTH_SD = 1.0
ATTENTION_MEAN, ATTENTION_SD = 2.0, 1.0
LEAN_SD = 1.0
"""Normal priors, in log-odds: unknown strengths, mostly attentive labellers (expit 2 = 0.88), no side preferred beforehand."""


@dataclass(frozen=True)
class Comparisons:
    """Decided votes, each (vote,): two answers as codes, the labeller, whether the contender won, and whether it was A."""

    contenders: Codes
    baselines: Codes
    labellers: Codes
    contender_won: Flags
    contender_is_a: Flags

    @property
    def answers(self) -> int:
        """How many answers there are."""
        return int(max(self.contenders.max(), self.baselines.max())) + 1


@dataclass(frozen=True)
class SideBias:
    """What was fitted.

    Attributes:
        strengths: (answer,), log-odds against an answer of strength 0.
        attention: (labeller,), the probability that a vote compares the answers.
        lean_to_a: (labeller,), the probability that a vote which does not is for side A.
    """

    strengths: Floats
    attention: Floats
    lean_to_a: Floats


def noisy_bradley_terry(votes: Comparisons) -> SideBias:
    """Fit P(contender wins) = γ_w·σ(s_c − s_b) + (1 − γ_w)·σ(±q_w), + where it was on side A, by its posterior's mode.

    s ~ N(0, 1), logit γ_w ~ N(2, 1), q_w ~ N(0, 1); L-BFGS from the priors' means.

    Raises:
        ModelError: the optimiser did not end at a mode.

    Source: Chen, Bennett, Collins-Thompson & Horvitz (2013), WSDM (labellers' reliability in Bradley–Terry), with a side
        preference in the place of a reversed vote.
    """
    labellers = int(votes.labellers.max()) + 1
    start = np.concatenate([np.zeros(votes.answers), np.full(labellers, ATTENTION_MEAN), np.zeros(labellers)])
    found = minimize(loss_and_gradient, start, args=(votes,), jac=True, method="L-BFGS-B", options={"maxiter": 2000})
    if not found.success:
        raise ModelError(f"the noisy Bradley–Terry model was not fitted: {found.message}")
    strengths, attention, lean = np.split(found.x, [votes.answers, votes.answers + labellers])
    return SideBias(strengths, expit(attention), expit(lean))


def loss_and_gradient(parameters: Floats, votes: Comparisons) -> tuple[float, Floats]:
    """Return the negative log posterior, up to a constant, and its gradient in (s, logit γ, q).

    With y = ±1 for a contender that won or lost, a = ±1 for a vote for A or B, P = σ(y(s_c − s_b)), B = σ(a·q),
    m = γP + (1 − γ)B: ∂log m/∂(s_c − s_b) = γP(1 − P)y/m, ∂/∂logit γ = γ(1 − γ)(P − B)/m, ∂/∂q = (1 − γ)B(1 − B)a/m.
    """
    answers = votes.answers
    s, g, q = np.split(parameters, [answers, (answers + len(parameters)) // 2])
    y = np.where(votes.contender_won, 1.0, -1.0)
    a = np.where(votes.contender_won == votes.contender_is_a, 1.0, -1.0)
    gamma = expit(g)[votes.labellers]
    judged, guessed = expit(y * (s[votes.contenders] - s[votes.baselines])), expit(a * q[votes.labellers])
    m = gamma * judged + (1 - gamma) * guessed
    apart = gamma * judged * (1 - judged) * y / m
    gradient = [
        np.bincount(votes.contenders, apart, answers)
        - np.bincount(votes.baselines, apart, answers)
        - s / STRENGTH_SD**2,
        np.bincount(votes.labellers, gamma * (1 - gamma) * (judged - guessed) / m)
        - (g - ATTENTION_MEAN) / ATTENTION_SD**2,
        np.bincount(votes.labellers, (1 - gamma) * guessed * (1 - guessed) * a / m) - q / LEAN_SD**2,
    ]
    prior = (
        np.sum(s**2) / STRENGTH_SD**2 + np.sum((g - ATTENTION_MEAN) ** 2) / ATTENTION_SD**2 + np.sum(q**2) / LEAN_SD**2
    )
    return float(prior / 2 - np.log(m).sum()), -np.concatenate(gradient)
