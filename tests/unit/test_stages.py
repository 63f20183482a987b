"""What one stage leaves for the next, on the tiny models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rlhf_core import stages
from rlhf_core.config import PipelineConfig, load_config
from rlhf_core.data.datasets import Datasets, load_datasets
from rlhf_core.models.policy import load_policy
from rlhf_core.models.rewards import RewardModel, load_reward_model, new_reward_model
from rlhf_core.models.sampling import SamplingConfig
from rlhf_core.rounds import finish
from rlhf_core.stages import contender_source, run_reward
from rlhf_core.training.rollout import Episode, sample
from rlhf_core.training.stage import Stage
from tests.engine import make_stage, move, tiny_policy

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("data.limit=8", "reward.max_length=96", "reward.eval_fraction=0.3", "reward.eval_every=9")


@pytest.fixture
def config(tmp_path: Path) -> PipelineConfig:
    """Eight rows of each file, and a fine-tuned policy that is far from its base."""
    config = load_config(ROOT / "configs" / "tiny.yaml", [f"run_root={tmp_path}", *SMALL])
    move(tiny_policy(), 0.3).save(config.run_path / "sft" / "model")
    return config


def scores_of(contender: str, model: RewardModel, config: PipelineConfig, data: Datasets, stage: Stage) -> Tensor:
    """The reward model's scores of what a contender writes, from the numbers normalisation draws."""
    policy = load_policy(contender_source(config, contender), config.policy, trainable=False)
    settings = SamplingConfig(config.ppo.response_length, config.ppo.temperature)
    prompts = [p.transcript for p in data.train_prompts]
    asked = [Episode(p, p, policy.encode_prompt(p, config.policy.system_prompt, 256)) for p in prompts]
    return model.score(prompts, sample(policy, asked, settings, stage.generator("normalise", 0)).texts)


def test_the_reward_model_is_normalised_on_what_the_reference_policy_writes(config: PipelineConfig):
    """Claims 13 and 14: mean 0 and sd 1 for the fine-tuned policy, not for the base; saved, and reported with the rest."""
    data, stage = load_datasets(config.data), make_stage(config.run_path, "reward")
    run_reward(config, data, stage)
    model = load_reward_model(stage.directory.model)
    assert isinstance(model, RewardModel)
    mine, others = (scores_of(name, model, config, data, stage) for name in ("sft", "base"))
    for scores, normal in ((mine, True), (others, False)):
        assert ([scores.mean().item(), scores.std(unbiased=False).item()] == pytest.approx([0, 1], abs=1e-2)) == normal
    report = json.loads((config.run_path / "evaluation" / "reward_model.json").read_text())
    assert report["normalisation"] == model.normalisation | {"n": 8}
    parts = {"accuracy", "kendall_tau", "calibration_error", "reliability", "margin_bins", "length", "by_category"}
    assert all(report[name] is not None for name in parts)


def test_best_of_n_and_rounds_score_by_the_head_that_ppo_is_rewarded_by(tmp_path: Path):
    named = "ppo.rewards=[{kind: learned, category: helpful}]"
    config = load_config(ROOT / "configs" / "tiny.yaml", [f"run_root={tmp_path}", "reward.by_category=true", named])
    folder, asked = config.run_path / "reward" / "model", (["Why?", "Go on"], ["Because.", "No"])
    model = new_reward_model(config.reward, torch.Generator().manual_seed(0), ("harmless", "helpful"))
    model.save(folder)
    helpful = model.score(*asked, ["helpful"] * 2)
    assert not torch.equal(helpful, model.score(*asked))
    assert torch.equal(stages.own_reward_model(config).score(*asked), helpful)
    assert torch.equal(torch.as_tensor(finish._scorer(folder, config)(*asked)), helpful)
