"""A chain of adapters as one on the plain model below: the same logits in plain peft."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from rlhf_core.config import LoraConfig, PolicyConfig
from rlhf_core.errors import ModelError
from rlhf_core.models.adapters import adapter_chain, write_joined_adapter
from rlhf_core.models.policy import load_merged, load_policy
from rlhf_core.models.sources import resolve
from tests.engine import move, tiny_policy


def chain(folder: Path) -> str:
    """Adapters in both layers, and above them one of another rank and scale in the last layer; what each learnt is large."""
    move(tiny_policy(), 0.3).save(folder / "sft")
    settings = PolicyConfig(model="tiny", dtype="float32", lora=LoraConfig(r=2, alpha=6, layers=1))
    move(load_policy(folder / "sft", settings, trainable=True), 0.3, seed=2).save(folder / "ppo")
    return str(folder / "ppo")


def logits(lm: Any) -> torch.Tensor:
    with torch.no_grad():
        return lm(torch.arange(40).unsqueeze(0)).logits


def test_one_adapter_on_the_plain_model_is_the_whole_chain(tmp_path: Path):
    source = chain(tmp_path)
    below = write_joined_adapter(source, tmp_path / "joined", "CAUSAL_LM")
    base = AutoModelForCausalLM.from_pretrained(below)
    assert not torch.allclose(logits(base.eval()), logits(load_merged(str(tmp_path / "sft"), torch.float32)), atol=0.1)
    found: Any = PeftModel.from_pretrained(base, str(tmp_path / "joined")).eval()
    torch.testing.assert_close(logits(found), logits(load_merged(source, torch.float32)), atol=1e-5, rtol=1e-5)


def test_the_adapter_names_the_model_it_belongs_on_and_ranks_add_up(tmp_path: Path):
    """Rank 4 in both layers and rank 2 in the last one; the run's own ppo adapter names the plain base, on which it is wrong."""
    source = chain(tmp_path)
    below = write_joined_adapter(source, tmp_path / "joined", "CAUSAL_LM")
    about = json.loads((tmp_path / "joined" / "adapter_config.json").read_text())
    assert about["base_model_name_or_path"] == below == str(resolve("tiny").resolve())
    assert about["r"] == about["lora_alpha"] == 6
    lower = {f"model.layers.0.self_attn.{name}_proj": 4 for name in "qkvo"}
    assert about["rank_pattern"] == about["alpha_pattern"] == lower
    assert len(about["target_modules"]) == 8


def test_the_chain_is_read_from_the_lowest_up(tmp_path: Path):
    source = chain(tmp_path)
    folders, below = adapter_chain(source)
    assert [folder.name for folder in folders] == ["sft", "ppo"] and below == "tiny"
    assert adapter_chain("tiny") == ([], "tiny")


def test_a_model_without_adapters_is_refused(tmp_path: Path):
    tiny_policy(lora=None).save(tmp_path / "full")
    with pytest.raises(ModelError, match=r"full: has no adapter: all its weights were trained\. Leave out --adapter"):
        write_joined_adapter(str(tmp_path / "full"), tmp_path / "joined", "CAUSAL_LM")
