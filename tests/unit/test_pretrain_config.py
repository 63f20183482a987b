"""The configuration of pretraining: the ready file parses, and what cannot work is refused with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlhf_core.config import load_config
from rlhf_core.config.files import read_config
from rlhf_core.config.pretrain import PretrainConfig
from rlhf_core.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
READY = ROOT / "configs" / "pretrain.yaml"


def message(path: Path, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read_config(PretrainConfig, path, overrides)
    return str(caught.value)


def test_the_ready_configuration_finds_its_text_and_reads_back_equal(tmp_path: Path) -> None:
    config = read_config(PretrainConfig, READY)
    assert (config.name, config.run_root) == ("pretrain", ROOT / "runs")
    assert config.held_out_prompts and all(path.is_file() for path in (*config.text, config.held_out_prompts))
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    assert read_config(PretrainConfig, tmp_path / "config.yaml") == config


def test_the_pipeline_from_scratch_starts_from_what_it_leaves() -> None:
    config, before = load_config(ROOT / "configs" / "from-scratch.yaml"), read_config(PretrainConfig, READY)
    assert config.policy.model == config.reward.model == str(before.run_path / "pretrain" / "model")
    longest = config.policy.max_prompt_tokens + max(config.ppo.response_length, config.generate.max_new_tokens)
    assert max(longest, config.sft.max_length, config.reward.max_length) <= before.model.context


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("tokenizer.vocab_size=258", "tokenizer: vocab_size must be at least 259: 256 bytes and 3 special tokens"),
        ("model.width=200", "model: width must be a multiple of 2 · heads: rotary positions turn pairs"),
        ("model.width=198", "model: width must be a multiple of 2 · heads"),  # 33 numbers a head: no pairs
        ("model.kv_heads=4", "model: heads must be a multiple of kv_heads"),
        ("micro_batch_size=5", "batch_size must be a multiple of micro_batch_size"),
        ("steps=5", "give epochs or steps, one of the two"),
        ("epochs=null", "give epochs or steps, one of the two"),
        ("text=[]", "text: Tuple should have at least 1 item"),
        ("text=[a.pdf]", "text.0: text is read from files that end in .txt or .jsonl"),
        ("tokenizer.vocab=300", "tokenizer.vocab: unknown key; did you mean `vocab_size`?"),
        ("modle={}", "modle: unknown key; did you mean `model`?"),
    ],
)
def test_what_cannot_work_is_refused_with_its_reason(override: str, expected: str) -> None:
    text = message(READY, override)
    assert expected in text and text.endswith("`rlhf pretrain --help` lists the sections")


def test_a_missing_file_names_the_one_to_start_from(tmp_path: Path) -> None:
    assert message(tmp_path / "no.yaml").endswith("no such file. configs/pretrain.yaml is the one to start from")
