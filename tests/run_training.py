"""Made-up training curves of the test run: metrics of three stages, and completions through PPO."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from rlhf_core.data.io import write_jsonl
from rlhf_core.runs.outcome import ALARMS
from tests.run_texts import PROMPTS, Item

STARTED = 1_760_000_000.0


def write_training(path: Path) -> None:
    """Write `metrics.jsonl` of SFT, reward model and PPO, and the completions of PPO's held-out prompts."""
    noise = np.random.default_rng(7)
    write_jsonl(path / "sft" / "metrics.jsonl", [_sft_row(s, noise) for s in range(1, 61)])
    write_jsonl(path / "reward" / "metrics.jsonl", [_reward_row(s, noise) for s in range(1, 61)])
    write_jsonl(path / "ppo" / "metrics.jsonl", [_ppo_row(s, noise) for s in range(1, 25)])
    samples = [_sample(step, item) for step in range(0, 25, 4) for item in PROMPTS]
    write_jsonl(path / "ppo" / "samples.jsonl", samples)


def _sft_row(step: int, noise: np.random.Generator) -> dict[str, Any]:
    loss = 1.6 + 1.1 * math.exp(-step / 15)
    row = {
        "step": step,
        "time": STARTED + 2.4 * step,
        "train/loss": loss + noise.normal(0, 0.08),
        "optim/grad_norm": 0.9,
        "optim/lr": 2e-4 * (1 - step / 60),
        "progress/step": step,
        "progress/episodes": 16 * step,
    }
    held_out = {"eval/loss": loss + 0.1, "eval/perplexity": math.exp(loss + 0.1)}
    return row | held_out if step % 10 == 0 else row


def _reward_row(step: int, noise: np.random.Generator) -> dict[str, Any]:
    grown = 1 - math.exp(-step / 18)
    row = {
        "step": step,
        "time": STARTED + 150 + step,
        "train/loss": 0.69 - 0.3 * grown + abs(noise.normal(0, 0.03)),
        "train/accuracy": min(1.0, 0.5 + 0.38 * grown + noise.normal(0, 0.03)),
        "optim/grad_norm": 1.4,
        "optim/lr": 5e-5,
        "progress/step": step,
        "progress/episodes": 8 * step,
    }
    held_out = {
        "eval/loss": 0.69 - 0.24 * grown,
        "eval/accuracy": 0.5 + 0.29 * grown,
        "eval/margin": 1.3 * grown,
        "eval/calibration_error": 0.05,
        "eval/kendall_tau": 0.57 * grown,
    }
    return row | held_out if step % 15 == 0 else row


def _ppo_row(step: int, noise: np.random.Generator) -> dict[str, Any]:
    grown = 1 - math.exp(-step / 10)
    scores, kl = 1.1 * grown + noise.normal(0, 0.12), 7.0 * grown + abs(noise.normal(0, 0.3))
    row = {
        "step": step,
        "time": STARTED + 212 + 16 * step,
        "objective/kl": kl,
        "objective/kl_coef": 0.05,
        "objective/entropy": 60 - 18 * grown,
        "objective/scores": scores,
        "objective/non_score_reward": -0.05 * kl,
        "objective/rlhf_reward": scores - 0.05 * kl,
        "policy/approxkl": 0.012,
        "policy/clipfrac": 0.05 + 0.02 * abs(noise.normal()),
        "policy/entropy": 2.1 - 0.5 * grown,
        "policy/ratio": 1.0,
        "policy/first_ratio_error": 1e-5,
        "loss/policy": -0.02,
        "loss/value": 0.4 - 0.2 * grown,
        "loss/total": 0.02 - 0.02 * grown,
        "returns/mean": scores,
        "returns/var": 0.8,
        "val/error": 0.5 - 0.2 * grown,
        "val/clipfrac": 0.02,
        "val/explained_variance": None if step == 1 else 0.6 * grown,
        "tokens/response_length": 38.0 - step / 4,
        "tokens/eos_frac": 0.82 + 0.12 * grown,
        "tokens/distinct_2": 0.8 - 0.1 * grown,
        **dict.fromkeys(ALARMS, 0.0),
        "optim/lr": 1e-4,
        "optim/grad_norm": 0.7,
        "time/rollout": 9.1,
        "time/score": 2.2,
        "time/update": 4.6,
        "progress/step": step,
        "progress/episodes": 16 * step,
    }
    return row | _held_out(grown) if step % 4 == 0 else row


def _held_out(grown: float) -> dict[str, float]:
    win = 0.5 + 0.3 * grown
    return {
        "eval/score": 1.05 * grown,
        "eval/win_rate": win,
        "eval/win_rate_low": win - 0.12,
        "eval/win_rate_high": win + 0.12,
        "eval/kl": 6.4 * grown,
        "eval/response_length": 38.0 - 6.0 * grown,
        "eval/distinct_2": 0.8 - 0.1 * grown,
        "eval/perplexity_ref": 8.0 + 2.0 * grown,
        "eval/audit_profanity": 0.05 + 0.02 * grown,
    }


def _sample(step: int, item: Item) -> dict[str, Any]:
    stage = "base" if step < 8 else "sft" if step < 16 else "tuned"
    row = {"step": step, "prompt_id": item.id, "prompt": item.prompt, "text": item.text[stage]}
    return row | {"score": item.score[stage], "kl": 6.4 * step / 24}
