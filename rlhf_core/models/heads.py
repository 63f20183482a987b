"""Scalar heads over hidden states."""

from __future__ import annotations

import torch
from torch import nn


def value_head(width: int) -> nn.Linear:
    """Return a float32 scalar head with zero weights and bias: values start at exactly 0 (Huang et al. 2024, detail 10)."""
    head = nn.Linear(width, 1)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head


def init_reward_head(head: nn.Linear, generator: torch.Generator) -> None:
    """Draw weights from N(0, 1/√(d + 1)) and set the bias to zero (Stiennon et al. 2020; Huang et al. 2024, detail 9)."""
    std = (head.in_features + 1) ** -0.5
    with torch.no_grad():
        head.weight.copy_(torch.empty_like(head.weight, dtype=torch.float32).normal_(0.0, std, generator=generator))
        if head.bias is not None:
            head.bias.zero_()
