"""The three estimators of KL against the exact value, and the adaptive coefficient."""

from __future__ import annotations

import math

import pytest
import torch

from rlhf_core.ops.kl import adapt_kl_coef, kl_k1, kl_k2, kl_k3

POLICY = torch.tensor([0.4, 0.3, 0.1, 0.15, 0.05])
REFERENCE = torch.tensor([0.2, 0.2, 0.2, 0.2, 0.2])


def test_each_formula_at_one_point():
    """Claim 17, with log π = ln 0.5 and log π_ref = ln 0.25: logr = −ln 2."""
    policy, reference = torch.tensor([0.5]).log(), torch.tensor([0.25]).log()
    assert kl_k1(policy, reference).item() == pytest.approx(math.log(2))
    assert kl_k2(policy, reference).item() == pytest.approx(math.log(2) ** 2 / 2)
    assert kl_k3(policy, reference).item() == pytest.approx(0.5 - 1 + math.log(2))  # e^logr = 0.25/0.5


def test_expectations_of_k1_and_k3_are_the_exact_kl():
    """Claim 17: Σ p·ln(p/q) over five tokens, as a plain sum."""
    exact = sum(p * math.log(p / q) for p, q in zip(POLICY.tolist(), REFERENCE.tolist(), strict=True))
    for estimator in (kl_k1, kl_k3):
        assert (POLICY * estimator(POLICY.log(), REFERENCE.log())).sum().item() == pytest.approx(exact, abs=1e-6)
    assert abs((POLICY * kl_k2(POLICY.log(), REFERENCE.log())).sum().item() - exact) > 0.01  # k2 is biased


def test_k2_and_k3_are_never_negative_and_k1_is_where_the_reference_likes_the_token_more():
    policy, reference = POLICY.log(), REFERENCE.log()
    assert (kl_k2(policy, reference) >= 0).all() and (kl_k3(policy, reference) >= 0).all()
    assert (kl_k1(policy, reference) < 0).tolist() == [False, False, True, True, True]


@pytest.mark.parametrize(
    ("kl", "expected"),
    [
        (6.0, 0.1),  # at the target: a fixed point
        (6.6, 0.1 * (1 + 0.1 * 64 / 1000)),  # 10% above
        (60.0, 0.1 * (1 + 0.2 * 64 / 1000)),  # clipped at +0.2
        (0.0, 0.1 * (1 - 0.2 * 64 / 1000)),  # clipped at −0.2
    ],
)
def test_the_adaptive_coefficient(kl: float, expected: float):
    """Claim 23: β·(1 + clip(KL/target − 1, ±0.2)·n/horizon)."""
    assert adapt_kl_coef(0.1, kl, target=6.0, episodes=64, horizon=1000) == pytest.approx(expected)
