"""A run whose contenders can be asked, on the tiny model: base, a fine-tuned and a tuned adapter far from it, a reward model."""

from __future__ import annotations

from pathlib import Path

import torch

from rlhf_core.config import load_config
from rlhf_core.data.io import write_json, write_text
from rlhf_core.models.rewards import new_reward_model
from tests.engine import move, reward_config, tiny_policy

ROOT = Path(__file__).resolve().parents[1]


def write_playable_run(root: Path, *overrides: str, name: str = "demo") -> Path:
    """Write a run of random adapters at `root/name` and return it; nothing is trained."""
    config = load_config(ROOT / "configs" / "tiny.yaml", [f"run_root={root}", f"name={name}", *overrides])
    run = config.run_path
    write_text(run / "config.yaml", config.to_yaml())
    write_json(run / "status.json", {"state": "complete", "stages": {}})
    for seed, stage in enumerate(("sft", "ppo"), 1):
        move(tiny_policy(), 0.3, seed).save(run / stage / "model")
    categories = ("helpful", "harmless") if config.reward.by_category else ()
    model = new_reward_model(reward_config(), torch.Generator().manual_seed(0), categories)
    model.normalise_on(["Why?", "How?", "Who?"], ["one", "two or three", "four, and more than that"])
    model.save(run / "reward" / "model")
    return run
