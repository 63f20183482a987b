"""AdamW, its learning-rate schedule, and gradient clipping."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rlhf_core.config import OptimConfig


def adamw(parameters: Iterable[nn.Parameter], config: OptimConfig) -> torch.optim.AdamW:
    """Return AdamW over the given parameters; one fused kernel a step, on a processor too.

    ε is 1e-5 unless configured: RLHF's results were not made with the usual 1e-8 (Huang et al. 2024, detail 20).
    """
    return torch.optim.AdamW(
        list(parameters), lr=config.lr, eps=config.eps, weight_decay=config.weight_decay, fused=True
    )


def learning_rate(step: int, total: int, config: OptimConfig) -> float:
    """Return the rate of step `step` of `total` (from 0): linear warm-up, then linear decay that would reach 0 at `total`."""
    warmup = round(config.warmup_ratio * total)
    if step < warmup:
        return config.lr * (step + 1) / warmup
    return config.lr * max(0.0, (total - step) / max(1, total - warmup))


def step_optimizer(optimizer: torch.optim.Optimizer, rate: float, max_grad_norm: float) -> Float[Tensor, ""]:
    """Clip gradients to `max_grad_norm`, step at `rate`, clear gradients; return the norm before clipping, on the device."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    norm = nn.utils.clip_grad_norm_(parameters, max_grad_norm)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm
