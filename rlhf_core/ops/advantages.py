"""Per-token rewards, generalised advantages and returns."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rlhf_core.ops.text_masks import last_true


def shape_rewards(
    scores: Float[Tensor, "batch"],
    kl: Float[Tensor, "batch time"],
    mask: Bool[Tensor, "batch time"],
    kl_coef: float,
) -> Float[Tensor, "batch time"]:
    """Reward each response token −β·KL_t, and the last one the score besides: Σ r = score − β·Σ KL.

    Ziegler et al. 2019 (arXiv 1909.08593), equation 2. Zero under the mask.
    """
    rewards = (-kl_coef * kl).masked_fill(~mask, 0.0)
    at_last = torch.zeros_like(rewards).scatter(1, last_true(mask).unsqueeze(1), scores.unsqueeze(1))
    return rewards + at_last


def penalise_missing_eos(
    scores: Float[Tensor, "batch"], finished: Bool[Tensor, "batch"], penalty: float, mode: str
) -> Float[Tensor, "batch"]:
    """Charge responses the token limit cut off: score − penalty ("subtract"), or −penalty in its place ("replace").

    Stiennon et al. 2020; Huang et al. 2024 (arXiv 2403.17031), detail 12.
    """
    if mode not in ("subtract", "replace"):
        raise ValueError(f"missing-eos mode must be 'subtract' or 'replace', found {mode!r}")
    charged = scores - penalty if mode == "subtract" else torch.full_like(scores, -penalty)
    return torch.where(finished, scores, charged)


def gae(
    rewards: Float[Tensor, "batch time"],
    values: Float[Tensor, "batch time"],
    mask: Bool[Tensor, "batch time"],
    gamma: float,
    lam: float,
) -> tuple[Float[Tensor, "batch time"], Float[Tensor, "batch time"]]:
    """Return (advantages, returns): δ_t = r_t + γV_{t+1} − V_t, A_t = δ_t + γλA_{t+1}, R_t = A_t + V_t.

    Schulman et al. 2016 (arXiv 1506.02438), equation 16. The value after the last token is 0; both are zero under the mask.
    """
    values = values.masked_fill(~mask, 0.0)
    rewards = rewards.masked_fill(~mask, 0.0)
    advantages = torch.zeros_like(rewards)
    ahead = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        next_value = values[:, t + 1] if t + 1 < rewards.shape[1] else torch.zeros_like(ahead)
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        ahead = (delta + gamma * lam * ahead).masked_fill(~mask[:, t], 0.0)
        advantages[:, t] = ahead
    return advantages, (advantages + values).masked_fill(~mask, 0.0)
