"""Every stage computes on the device it is given: nothing is left on the processor, and the numbers are those of the processor."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlhf_core.config import LoraConfig, SFTConfig
from rlhf_core.config.pretrain import PretrainConfig
from rlhf_core.config.rewards import ClassifierReward
from rlhf_core.errors import ModelError
from rlhf_core.models.device import choose_device, choose_dtype
from rlhf_core.models.rewards import RewardEnsemble, load_reward_model, new_reward_model
from rlhf_core.models.sampling import SamplingConfig
from rlhf_core.models.scorers import LabelScorer
from rlhf_core.training import pretrain
from rlhf_core.training.best_of import sample_best_of
from rlhf_core.training.heldout import HeldOut
from rlhf_core.training.ppo import train_ppo
from rlhf_core.training.reward import train_members
from rlhf_core.training.sft import train_sft
from rlhf_core.training.stage import Stage
from tests.engine import (
    LORA,
    PROMPTS,
    episodes,
    examples,
    logged,
    make_stage,
    ppo_config,
    rankings,
    reward_config,
    tiny_policy,
    write_bert,
)
from tests.stand_in_device import DEVICE, Away, stand_in

HERE = torch.device("cpu")
ANSWERS = ["Yes.", "No, never.", "It is far away.", "Tea is a drink.", "La la la.", "Four."]


@pytest.fixture(autouse=True)
def takes_the_stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let modules swap parameters for those of another class, and fused AdamW accept the name of the device."""
    optimizer = sys.modules["torch.optim.optimizer"]
    devices = ["cpu", "cuda", DEVICE.type]
    monkeypatch.setattr(optimizer, "_get_fused_kernels_supported_devices", lambda: devices)
    torch.__future__.set_swap_module_params_on_conversion(True)
    yield
    torch.__future__.set_swap_module_params_on_conversion(False)


def assert_same_on_both(tmp_path: Path, name: str, work: Callable[[torch.device, Stage], torch.nn.Module]) -> None:
    """Do the work on either device; what it logs must agree, and its model must lie where it was put."""
    rows: list[list[dict[str, Any]]] = []
    for device in (HERE, DEVICE):
        stage = make_stage(tmp_path / device.type, name)
        with stand_in():
            model = work(device, stage)
        assert {p.device for p in model.parameters()} == {device}
        rows.append(logged(stage))
    assert len(rows[0]) == len(rows[1]) > 1
    for here, there in zip(*rows, strict=True):
        assert there == pytest.approx(here, rel=1e-3, abs=1e-4, nan_ok=True)


def test_the_stand_in_refuses_to_mix_devices():
    with stand_in():
        a = torch.ones(3).to(DEVICE)
        assert type(a) is Away and a.device == DEVICE and (a + a).tolist() == [2, 2, 2]
        assert type(a.cpu()) is torch.Tensor and (2 * a).sum().item() == 6
        with pytest.raises(RuntimeError, match="mixes devices"):
            a + torch.ones(3)


@pytest.mark.parametrize(
    ("lora", "value_network"),
    [
        pytest.param(LORA, "separate", id="adapters", marks=pytest.mark.slow),
        pytest.param(LoraConfig(r=4, alpha=8, layers=1), "shared", id="adapters above a trunk"),
        pytest.param(None, "shared", id="all weights"),
        pytest.param(None, "separate", id="all weights twice", marks=pytest.mark.slow),
    ],
)
def test_ppo(tmp_path: Path, lora: LoraConfig | None, value_network: str):
    config = ppo_config(value_network=value_network, iterations=1)

    def work(device: torch.device, stage: Stage) -> torch.nn.Module:
        score = new_reward_model(reward_config(), torch.Generator().manual_seed(0)).to(device).score
        policy = tiny_policy(lora).to(device)
        train_ppo(policy, score, episodes(policy), HeldOut(episodes(policy)[:2], score, config, stage), config, stage)
        return policy

    assert_same_on_both(tmp_path, "ppo", work)


@pytest.mark.parametrize("packing", [False, True])
def test_fine_tuning(tmp_path: Path, packing: bool):
    config = SFTConfig(epochs=1, batch_size=4, micro_batch_size=2, eval_every=2, packing=packing)

    def work(device: torch.device, stage: Stage) -> torch.nn.Module:
        policy = tiny_policy().to(device)
        train_sft(policy, examples(policy, 8), examples(policy, 2), config, stage)
        return policy

    assert_same_on_both(tmp_path, "sft", work)


@pytest.mark.parametrize("backbone", ["decoder", "encoder"])
def test_reward_model(tmp_path: Path, backbone: str):
    source = str(write_bert(tmp_path / "bert")) if backbone == "encoder" else "tiny"
    config = reward_config(model=source, epochs=1)

    def work(device: torch.device, stage: Stage) -> torch.nn.Module:
        [model] = train_members(config, rankings(4), rankings(2), stage, device)
        return model

    assert_same_on_both(tmp_path, "reward", work)


def test_pretraining(tmp_path: Path):
    files = (Path("x.txt"),)
    config = PretrainConfig(name="x", text=files, steps=2, batch_size=2, micro_batch_size=1, dtype="float32")
    ids = [np.arange(9), np.arange(20, 29), np.arange(5)]

    def work(device: torch.device, stage: Stage) -> torch.nn.Module:
        lm = tiny_policy(None, trainable=False).lm.requires_grad_(True).to(device)
        for step in range(2):
            stage.directory.log(step, {"train/loss": pretrain.accumulate(lm, ids, config)})
        return lm

    assert_same_on_both(tmp_path, "pretrain", work)


def test_scores_come_back_to_the_processor(tmp_path: Path):
    """So that a mixture may add those of a model to those of a function."""
    folder = tmp_path / "model"
    RewardEnsemble([new_reward_model(reward_config(), torch.Generator().manual_seed(n)) for n in (0, 1)]).save(folder)
    label = ClassifierReward(name="x", model=str(write_bert(tmp_path / "bert", labels=("a", "b"))), label="b")
    with stand_in():
        for make in (lambda: load_reward_model(folder), lambda: LabelScorer(label)):
            score = [getattr(m := make().to(d), "score", m)(PROMPTS, ANSWERS) for d in (HERE, DEVICE)]
            assert score[1].device == HERE
            torch.testing.assert_close(*score)


def test_best_of_n(tmp_path: Path):
    texts = []
    with stand_in():
        for device in (HERE, DEVICE):
            policy = tiny_policy(None, trainable=False).to(device)
            score = new_reward_model(reward_config(), torch.Generator().manual_seed(0)).to(device).score
            made = sample_best_of(
                policy, episodes(policy), SamplingConfig(6), torch.Generator().manual_seed(1), n=3, scorer=score
            )
            texts.append(made.texts)
    assert texts[0] == texts[1]


def test_the_graphics_card_is_taken_where_there_is_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == HERE
    with pytest.raises(ModelError, match=r"torch finds no graphics card.*cuda.*Set device: cpu"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda")
    assert choose_device("cpu") == HERE


def test_a_card_is_asked_for_its_own_bfloat16(monkeypatch: pytest.MonkeyPatch):
    for able, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True, able=able: able)
        assert choose_dtype("auto", torch.device("cuda")) == dtype
    assert choose_dtype("float32", torch.device("cuda")) == torch.float32
