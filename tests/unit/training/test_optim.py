"""AdamW's settings, the learning-rate schedule, clipping."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rlhf_core.config import OptimConfig, PPOConfig
from rlhf_core.training.optim import adamw, learning_rate, step_optimizer


def test_adams_epsilon():
    """Claim 25: 1e-5 for PPO, what is configured elsewhere, and the rate and decay of the configuration."""
    group = adamw([nn.Parameter(torch.ones(1))], OptimConfig(lr=3e-4, weight_decay=0.1)).param_groups[0]
    assert (group["eps"], group["lr"], group["weight_decay"]) == (1e-5, 3e-4, 0.1)
    assert PPOConfig().optim.eps == 1e-5
    assert adamw([nn.Parameter(torch.ones(1))], OptimConfig(eps=1e-8)).param_groups[0]["eps"] == 1e-8


def test_the_fused_step_is_adam_s():
    """Two steps of decoupled weight decay against the textbook recursion, β = (0.9, 0.999)."""
    config = OptimConfig(lr=0.1, weight_decay=0.5)
    weight = nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer, expected = adamw([weight], config), torch.tensor([1.0, -2.0])
    assert optimizer.param_groups[0]["fused"]
    m = v = torch.zeros(2)
    for step, gradient in enumerate([torch.tensor([0.3, -0.1]), torch.tensor([-0.2, 0.4])], start=1):
        weight.grad = gradient.clone()
        step_optimizer(optimizer, 0.1, max_grad_norm=9.0)
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        expected = expected * (1 - 0.1 * 0.5)
        expected = expected - 0.1 * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-5)
    torch.testing.assert_close(weight.detach(), expected)


def test_warm_up_then_decay_to_zero():
    """Claims 8 and 25: ten steps, two of warm-up at lr 1: ½, 1, then 8/8, 7/8 … 1/8, and 0 had there been an eleventh."""
    config = OptimConfig(lr=0.5, warmup_ratio=0.2)
    rates = [learning_rate(step, 10, config) / 0.5 for step in range(11)]
    assert rates == pytest.approx([0.5, 1.0, *(n / 8 for n in range(8, -1, -1))])


def test_without_warm_up_the_rate_starts_full():
    config = OptimConfig(lr=0.5, warmup_ratio=0.0)
    assert [learning_rate(step, 4, config) for step in range(5)] == [0.5, 0.375, 0.25, 0.125, 0.0]


def test_all_warm_up_never_divides_by_zero():
    config = OptimConfig(lr=0.5, warmup_ratio=1.0)
    assert [learning_rate(step, 2, config) for step in range(3)] == [0.25, 0.5, 0.0]


def test_gradients_are_clipped_and_the_norm_before_is_returned():
    """Claim 25: a gradient (3, 4) has norm 5; clipped to 1 it is (0.6, 0.8), and plain SGD at 0.1 moves by (0.06, 0.08)."""
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([3.0, 4.0])
    norm = step_optimizer(torch.optim.SGD([weight], lr=9.0), rate=0.1, max_grad_norm=1.0)
    assert norm == 5.0
    torch.testing.assert_close(weight.detach(), torch.tensor([-0.06, -0.08]))
    assert weight.grad is None


def test_small_gradients_are_left_alone():
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([0.3, 0.4])
    step_optimizer(torch.optim.SGD([weight], lr=9.0), rate=1.0, max_grad_norm=1.0)
    torch.testing.assert_close(weight.detach(), torch.tensor([-0.3, -0.4]))
