"""Kill and resume: what a stage logs equals what the uninterrupted stage logs, to the last bit but for times (claim 29)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rlhf_core.config import LoraConfig, OptimConfig, SFTConfig
from rlhf_core.errors import CheckpointError
from rlhf_core.models.policy import Policy, fingerprint_of
from rlhf_core.models.rewards import RewardModel, new_reward_model
from rlhf_core.training.heldout import HeldOut
from rlhf_core.training.ppo import train_ppo
from rlhf_core.training.reward import member_stage, train_members, train_reward
from rlhf_core.training.sft import train_sft
from rlhf_core.training.stage import Stage
from tests.engine import (
    LORA,
    Stop,
    episodes,
    examples,
    logged,
    make_stage,
    ppo_config,
    rankings,
    reward_config,
    stop_at,
    tiny_policy,
    vowels,
)

Report = Callable[[int, int, str], None]


def sft(path: Path, report: Report | None, lora: LoraConfig | None = LORA) -> tuple[Stage, torch.nn.Module]:
    """Fine-tune for five steps with a checkpoint every second one."""
    policy, stage = tiny_policy(lora), make_stage(path, "sft", report=report)
    config = SFTConfig(epochs=1, batch_size=2, micro_batch_size=2, eval_every=2, patience=9, optim=OptimConfig(lr=1e-2))
    rows = examples(policy, 12)
    train_sft(policy, rows[:10], rows[10:], config, stage)
    return stage, policy


def reward(path: Path, report: Report | None, lora: LoraConfig | None = None) -> tuple[Stage, torch.nn.Module]:
    """Train a reward model for six steps with a checkpoint every second one."""
    torch.manual_seed(0)
    config = reward_config(lora=lora, optim=OptimConfig(lr=1e-3))
    model: RewardModel = new_reward_model(config, torch.Generator().manual_seed(0))
    stage = make_stage(path, "reward", report=report)
    train_reward(model, rankings(6), rankings(2), config, stage, fingerprint_of(model.classifier))
    return stage, model


def ppo(path: Path, report: Report | None, **fields: Any) -> tuple[Stage, torch.nn.Module]:
    """Five iterations of PPO with an adaptive β and a checkpoint every second one."""
    policy, stage = tiny_policy(fields.pop("lora", LORA)), make_stage(path, report=report)
    small = {
        "iterations": 5,
        "checkpoint_every": 2,
        "eval_every": 2,
        "kl_target": 2.0,
        "kl_horizon": 16,
        "response_length": 4,
    }
    config = ppo_config(**(small | fields))
    rows = episodes(policy)
    train_ppo(policy, vowels, rows[:4], HeldOut(rows[4:], vowels, config, stage), config, stage)
    return stage, policy


def logs(stage: Stage) -> list[list[dict[str, Any]]]:
    return [logged(stage, file) for file in ("metrics.jsonl", "samples.jsonl") if (stage.path / file).is_file()]


def same_weights(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def check_resume(
    train: Callable[..., tuple[Stage, torch.nn.Module]], tmp_path: Path, stops: list[int], **fields: Any
) -> None:
    """Train in one go; train again, stopping at each step of `stops` in turn; compare."""
    whole, model = train(tmp_path / "whole", None, **fields)
    for step in stops:
        with pytest.raises(Stop):
            train(tmp_path / "cut", stop_at(step), **fields)
    resumed, resumed_model = train(tmp_path / "cut", None, **fields)
    assert logs(resumed) == logs(whole)
    assert same_weights(model, resumed_model)


@pytest.mark.parametrize("stops", [[1], [2], [3], [1, 3, 4], [5]])
def test_sft_resumes_as_if_nothing_had_happened(tmp_path: Path, stops: list[int]):
    """Before the first checkpoint, on one, after one, three times, and after the last step."""
    check_resume(sft, tmp_path, stops)


@pytest.mark.parametrize(("stops", "lora"), [([1], None), ([3, 5], None), ([6], None), ([3], LORA)])
def test_reward_training_resumes_as_if_nothing_had_happened(tmp_path: Path, stops: list[int], lora: LoraConfig | None):
    check_resume(reward, tmp_path, stops, lora=lora)


@pytest.mark.parametrize("stops", [[1], [3], [2, 3, 4]])
def test_an_ensemble_resumes_in_the_middle_of_a_member(tmp_path: Path, stops: list[int]):
    """Claim 29: two members of two steps each; stopped in the first, in the second, and again and again."""
    config = reward_config(members=2, epochs=1, eval_every=1, lora=LORA, dtype="bfloat16", optim=OptimConfig(lr=1e-3))

    def train(path: Path, report: Report | None) -> list[Any]:
        stage = make_stage(path, "reward", report=report)
        models = train_members(config, rankings(4), rankings(2), stage)
        return [logs(member_stage(stage, n, 2)) for n in (0, 1)] + [m.state_dict() for m in models]

    whole = train(tmp_path / "whole", None)
    for step in stops:
        with pytest.raises(Stop):
            train(tmp_path / "cut", stop_at(step))
    resumed = train(tmp_path / "cut", None)
    assert resumed[:2] == whole[:2]
    for mine, theirs in zip(resumed[2:], whole[2:], strict=True):
        assert all(torch.equal(mine[name], weight) for name, weight in theirs.items())


@pytest.mark.parametrize(
    ("stops", "fields"),
    [
        ([1], {}),
        ([3], {"value_network": "separate"}),
        ([2, 3, 5], {}),
        ([3], {"lora": None}),
    ],
)
def test_ppo_resumes_as_if_nothing_had_happened(tmp_path: Path, stops: list[int], fields: dict[str, Any]):
    """Weights, Adam, learning rate, random streams, β and data position all come back."""
    check_resume(ppo, tmp_path, stops, **fields)


def test_resuming_says_where_it_goes_on(tmp_path: Path):
    said: list[str] = []
    with pytest.raises(Stop):
        ppo(tmp_path, stop_at(3))
    ppo(tmp_path, lambda step, total, message: said.append(f"{step}/{total} {message}"))
    assert said[0] == "2/5 resumed at iteration 2"
    assert said[1].startswith("3/5 score ")


def test_a_finished_stage_trains_no_further(tmp_path: Path):
    stage, first = sft(tmp_path, None)
    before = (stage.path / "metrics.jsonl").read_bytes()
    _, again = sft(tmp_path, None)
    assert (stage.path / "metrics.jsonl").read_bytes() == before
    assert same_weights(first, again)


@pytest.mark.parametrize("train", [sft, reward, ppo])
def test_a_checkpoint_of_another_model_or_input_is_refused(train: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(Stop):
        train(tmp_path, stop_at(3))
    monkeypatch.setattr(Stage, "__init__", _with_other_inputs(Stage.__init__))
    with pytest.raises(
        CheckpointError, match=r"was made from another model, configuration or data .*:x, expected .*:y"
    ):
        train(tmp_path, None)


def _with_other_inputs(plain: Callable[..., None]) -> Callable[..., None]:
    def build(self: Stage, *args: Any) -> None:
        plain(self, *args[:3], "y", *args[4:])

    return build


def test_policies_are_told_apart(tmp_path: Path):
    """The fingerprint in a checkpoint's name is that of the base below the adapters."""
    policy: Policy = tiny_policy()
    with torch.no_grad():
        next(policy.lm.parameters()).add_(1)
    assert policy.fingerprint == tiny_policy().fingerprint != fingerprint_of(policy.lm)
