"""Our PPO iterations: rollout, scoring, reference and value passes, clipped updates."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.ours.rollouts import NEVER
from benchmarks.work import Work, random_prompts
from rlhf_core.config import LoraConfig, OptimConfig, PolicyConfig, PPOConfig, RewardConfig
from rlhf_core.models.policy import Policy, ValueModel, load_policy
from rlhf_core.models.rewards import new_reward_model
from rlhf_core.runs.directory import StageDirectory
from rlhf_core.training.optim import adamw
from rlhf_core.training.ppo import Learner, iterate
from rlhf_core.training.rollout import Episode
from rlhf_core.training.stage import Stage


class Endless:
    """A tokenizer whose eos no model can emit, so that every response has its full length."""

    eos_token_id = NEVER

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


def full(work: Work) -> tuple[int, float]:
    """All weights learn, value model and reference of their own, one minibatch; the reward model is as large as the policy.

    Weights that all learn are kept in float32; in bfloat16 it is their products that are computed in it.
    """
    settings = {"value_network": "separate", "minibatch_size": work.batch, "optim": OptimConfig(lr=1e-6)}
    return _iterations(work, None, work.model, settings)


def default(work: Work) -> tuple[int, float]:
    """The default recipe: adapters, shared trunk, reference with the adapters off, an encoder for the reward."""
    standard = PPOConfig()
    lora = LoraConfig().at_most(standard.lora_layers)
    return _iterations(work, lora, work.encoder, {"minibatch_size": min(work.batch, standard.minibatch_size)})


def _iterations(work: Work, lora: LoraConfig | None, judge: str, settings: dict[str, Any]) -> tuple[int, float]:
    """Run `steps` iterations; return (tokens, seconds)."""
    micro = min(settings["minibatch_size"], PPOConfig().micro_batch_size)
    config = PPOConfig(
        batch_size=work.batch, micro_batch_size=micro, epochs=work.epochs, response_length=work.response, target_kl=None,
        temperature=1.0, missing_eos_penalty=0.0, **settings,
    )  # fmt: skip
    torch.manual_seed(0)
    policy = load_policy(work.model, PolicyConfig(model=work.model, dtype=work.dtype, lora=lora), trainable=True)
    policy.tokenizer = Endless(policy.tokenizer)
    prompts = random_prompts(work, work.steps * work.batch)
    episodes = [Episode(str(n), policy.decode_response(ids), ids) for n, ids in enumerate(prompts)]
    with tempfile.TemporaryDirectory() as folder:
        learner = _learner(policy, judge, config, Path(folder))
        started = time.perf_counter()
        for step in range(work.steps):
            batch = episodes[step * work.batch : (step + 1) * work.batch]
            iterate(learner, batch, config.kl_coef, step, config.optim.lr)
        return work.tokens, time.perf_counter() - started


def _learner(policy: Policy, judge: str, config: PPOConfig, folder: Path) -> Learner:
    stage = Stage("ppo", StageDirectory(folder), seed=0)
    value_model = ValueModel(policy, separate=config.value_network == "separate")
    weights = [*policy.trainable().values(), *(p for p in value_model.parameters() if p.requires_grad)]
    scorer = new_reward_model(RewardConfig(model=judge), stage.generator("head")).requires_grad_(False).score
    return Learner(policy, value_model, adamw(weights, config.optim), scorer, config, stage)
