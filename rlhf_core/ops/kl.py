"""Estimators of KL(policy ‖ reference) from samples of the policy. Schulman, "Approximating KL divergence", 2020."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def kl_k1(policy: Float[Tensor, "*shape"], reference: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """k1 = −logr with logr = log π_ref − log π: unbiased, any sign. This is the one the reward pays for."""
    return policy - reference


def kl_k2(policy: Float[Tensor, "*shape"], reference: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """k2 = ½·logr²: biased, low variance, never negative."""
    return (reference - policy).square() / 2


def kl_k3(policy: Float[Tensor, "*shape"], reference: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """k3 = e^logr − 1 − logr: unbiased and never negative."""
    logr = reference - policy
    return logr.expm1() - logr


def adapt_kl_coef(kl_coef: float, kl: float, target: float, episodes: int, horizon: int) -> float:
    """Return β·(1 + clip(KL/target − 1, ±0.2)·n/horizon): a proportional controller with its fixed point at the target.

    Ziegler et al. 2019 (arXiv 1909.08593), section 2.2. KL and target in nats per response.
    """
    error = min(max(kl / target - 1, -0.2), 0.2)
    return kl_coef * (1 + error * episodes / horizon)
