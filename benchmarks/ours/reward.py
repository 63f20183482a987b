"""Our reward-model training: one optimiser step a batch of pairs, and what a model so trained has learnt."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import torch

from benchmarks.work import Pair, Work, preference_pairs, read_pairs
from rlhf_core.config import RewardConfig
from rlhf_core.data.records import Completion, Ranking
from rlhf_core.models.rewards import RewardModel, new_reward_model
from rlhf_core.training.optim import adamw, learning_rate, step_optimizer
from rlhf_core.training.reward import accumulate


def trained(work: Work) -> tuple[int, float]:
    """Train on every pair once; return (pairs, seconds)."""
    rankings = [_ranking(n, pair) for n, pair in enumerate(preference_pairs(work))]
    return len(rankings), _train(work, rankings)[1]


def accuracy(work: Work) -> tuple[float, float]:
    """Train on every pair once, in an order of the seed's; return (share of held-out pairs in people's order, seconds)."""
    rankings = [_ranking(n, pair) for n, pair in enumerate(preference_pairs(work))]
    random.Random(work.seed).shuffle(rankings)
    model, seconds = _train(work, rankings)
    held_out = read_pairs(work.held_out)
    with torch.no_grad():
        chosen, rejected = (
            model.raw_scores([pair.prompt for pair in held_out], [getattr(pair, side) for pair in held_out])
            for side in ("chosen", "rejected")
        )
    return (chosen > rejected).float().mean().item(), seconds


def _train(work: Work, rankings: Sequence[Ranking]) -> tuple[RewardModel, float]:
    """As the reward stage does: the rate warms up and decays."""
    config = RewardConfig(model=work.encoder, batch_size=work.batch, dtype=work.dtype)
    model = new_reward_model(config, torch.Generator().manual_seed(work.seed))
    optimizer, starts = adamw(model.parameters(), config.optim), range(0, len(rankings), work.batch)
    started = time.perf_counter()
    for step, start in enumerate(starts):
        accumulate(model, rankings[start : start + work.batch], config)
        step_optimizer(optimizer, learning_rate(step, len(starts), config.optim), config.optim.max_grad_norm)
    return model, time.perf_counter() - started


def _ranking(number: int, pair: Pair) -> Ranking:
    sides = [Completion(id="chosen", text=pair.chosen), Completion(id="rejected", text=pair.rejected)]
    return Ranking(id=str(number), prompt=pair.prompt, completions=sides, ranking=[["chosen"], ["rejected"]])
