"""Our reward-model training: one optimiser step a batch of pairs."""

from __future__ import annotations

import time

import torch

from benchmarks.work import Pair, Work, preference_pairs
from rlhf_core.config import RewardConfig
from rlhf_core.data.records import Completion, Ranking
from rlhf_core.models.rewards import new_reward_model
from rlhf_core.training.optim import adamw, step_optimizer
from rlhf_core.training.reward import accumulate


def trained(work: Work) -> tuple[int, float]:
    """Train on every pair once; return (pairs, seconds)."""
    config = RewardConfig(model=work.encoder, batch_size=work.batch, dtype=work.dtype)
    rankings = [_ranking(n, pair) for n, pair in enumerate(preference_pairs(work))]
    model = new_reward_model(config, torch.Generator().manual_seed(0))
    optimizer = adamw(model.parameters(), config.optim)
    started = time.perf_counter()
    for start in range(0, len(rankings), work.batch):
        accumulate(model, rankings[start : start + work.batch], config)
        step_optimizer(optimizer, config.optim.lr, config.optim.max_grad_norm)
    return len(rankings), time.perf_counter() - started


def _ranking(number: int, pair: Pair) -> Ranking:
    sides = [Completion(id="chosen", text=pair.chosen), Completion(id="rejected", text=pair.rejected)]
    return Ranking(id=str(number), prompt=pair.prompt, completions=sides, ranking=[["chosen"], ["rejected"]])
