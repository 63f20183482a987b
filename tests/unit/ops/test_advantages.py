"""Per-token rewards, the missing-eos penalty, and generalised advantages."""

from __future__ import annotations

import pytest
import torch

from rlhf_core.ops.advantages import gae, penalise_missing_eos, shape_rewards

MASK = torch.tensor([[True, True, True], [True, True, False]])
REWARDS = torch.tensor([[1.0, 0.0, 2.0], [3.0, -1.0, 99.0]])
VALUES = torch.tensor([[0.5, 1.0, 1.5], [2.0, 0.5, 77.0]])


def test_the_score_lands_on_the_last_token_and_every_token_pays_for_its_kl():
    """Claim 16, with β = 0.5: −0.5·KL at each token, the score added at the last one that counts."""
    kl = torch.tensor([[0.2, -0.4, 0.6], [1.0, 2.0, float("nan")]])
    rewards = shape_rewards(torch.tensor([10.0, -4.0]), kl, MASK, 0.5)
    torch.testing.assert_close(rewards, torch.tensor([[-0.1, 0.2, 9.7], [-0.5, -5.0, 0.0]]))


def test_rewards_sum_to_the_score_less_the_price_of_the_kl():
    """Claim 16: row 1 is 10 − 0.5·0.4 = 9.8, row 2 is −4 − 0.5·3 = −5.5."""
    kl = torch.tensor([[0.2, -0.4, 0.6], [1.0, 2.0, 50.0]])
    rewards = shape_rewards(torch.tensor([10.0, -4.0]), kl, MASK, 0.5)
    torch.testing.assert_close(rewards.sum(1), torch.tensor([9.8, -5.5]))


def test_without_kl_only_the_last_token_is_rewarded():
    """Claim 16: at step 0 the KL is 0, and so is every reward but the last."""
    rewards = shape_rewards(torch.tensor([2.0, 3.0]), torch.zeros(2, 3), MASK, 0.5)
    assert rewards.tolist() == [[0.0, 0.0, 2.0], [0.0, 3.0, 0.0]]


@pytest.mark.parametrize(("mode", "expected"), [("subtract", [2.0, 0.5]), ("replace", [2.0, -1.5])])
def test_an_unfinished_response_is_charged(mode: str, expected: list[float]):
    """Claim 22, both scores 2 and a penalty of 1.5: 2 − 1.5 = 0.5, or −1.5 whatever the score was."""
    charged = penalise_missing_eos(torch.tensor([2.0, 2.0]), torch.tensor([True, False]), 1.5, mode)
    assert charged.tolist() == expected


def test_an_unknown_penalty_is_refused():
    with pytest.raises(ValueError, match="must be 'subtract' or 'replace', found 'halve'"):
        penalise_missing_eos(torch.tensor([2.0]), torch.tensor([True]), 1.0, "halve")


def test_with_lambda_one_the_advantage_is_reward_to_go_less_value():
    """Claim 18: rewards to go are (3, 2, 2) and (2, −1)."""
    advantages, returns = gae(REWARDS, VALUES, MASK, gamma=1.0, lam=1.0)
    torch.testing.assert_close(advantages, torch.tensor([[2.5, 1.0, 0.5], [0.0, -1.5, 0.0]]))
    torch.testing.assert_close(returns, torch.tensor([[3.0, 2.0, 2.0], [2.0, -1.0, 0.0]]))


def test_with_lambda_zero_the_advantage_is_the_td_error():
    """Claim 18, γ = 0.9: row 1 is (1 + 0.9·1 − 0.5, 0.9·1.5 − 1, 2 − 1.5); row 2 (3 + 0.9·0.5 − 2, −1 − 0.5)."""
    advantages, returns = gae(REWARDS, VALUES, MASK, gamma=0.9, lam=0.0)
    torch.testing.assert_close(advantages, torch.tensor([[1.4, 0.35, 0.5], [1.45, -1.5, 0.0]]))
    torch.testing.assert_close(returns, torch.tensor([[1.9, 1.35, 2.0], [3.45, -1.0, 0.0]]))


def test_in_between_two_steps_by_hand():
    """Claim 18, γ = 0.5, λ = 0.4: δ₁ = −1 − 0.5 = −1.5; δ₀ = 3 + 0.5·0.5 − 2 = 1.25; A₀ = 1.25 + 0.2·(−1.5) = 0.95."""
    advantages, _ = gae(REWARDS, VALUES, MASK, gamma=0.5, lam=0.4)
    torch.testing.assert_close(advantages[1], torch.tensor([0.95, -1.5, 0.0]))


def test_garbage_under_the_mask_changes_nothing():
    """Claim 20."""
    rewards, values = REWARDS.masked_fill(~MASK, float("nan")), VALUES.masked_fill(~MASK, float("inf"))
    for mine, clean in zip(gae(rewards, values, MASK, 0.9, 0.8), gae(REWARDS, VALUES, MASK, 0.9, 0.8), strict=True):
        assert torch.equal(mine, clean)


def test_inputs_are_left_as_they_were():
    rewards, values = REWARDS.clone(), VALUES.clone()
    gae(rewards, values, MASK, 0.9, 0.8)
    assert torch.equal(rewards, REWARDS) and torch.equal(values, VALUES)
