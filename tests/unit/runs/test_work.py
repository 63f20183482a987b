"""What a pipeline computes, counted by hand from a configuration and lengths of texts."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from rlhf_core.config import PipelineConfig, load_config
from rlhf_core.models.sources import resolve
from rlhf_core.runs.work import PARAMETERS, Lengths, measure_data, parameters_of, stage_work

ROOT = Path(__file__).resolve().parents[3]
LENGTHS = Lengths(asked=(40,) * 50, judged=(40,) * 10, tested=(), shown=(400,) * 20, ranked=((200, 200),) * 10)
"""In letters: 10 tokens a prompt, 100 a demonstration, two answers of 50 with their prompt a ranking."""


def make(*overrides: str) -> PipelineConfig:
    fixed = [
        'policy.system_prompt=""', "sft.epochs=1", "sft.batch_size=8", "sft.eval_fraction=0.2", "sft.eval_every=1",
        "reward.epochs=1", "reward.batch_size=4", "reward.eval_fraction=0.2", "reward.eval_every=2",
        "reward.normalise_on=8", "ppo.response_length=20", "ppo.batch_size=8", "ppo.iterations=3", "ppo.epochs=2",
        "ppo.eval_every=2", "ppo.eval_prompts=4", "generate.max_new_tokens=5",
    ]  # fmt: skip
    return load_config(ROOT / "configs" / "quickstart.yaml", [*fixed, *overrides])


def test_fine_tuning() -> None:
    """16 examples × 100 tokens × 3, and 4 held out × 100 before the first step and after each of ⌈16/8⌉ = 2."""
    assert stage_work(make(), LENGTHS)["sft"].policy == 16 * 100 * 3 + 3 * 4 * 100
    assert stage_work(make("sft.epochs=2"), LENGTHS)["sft"].policy == 2 * 16 * 100 * 3 + 5 * 4 * 100
    assert stage_work(make("sft.max_length=50"), LENGTHS)["sft"].policy == 16 * 50 * 3 + 3 * 4 * 50
    checkpointing = stage_work(make("sft.gradient_checkpointing=true"), LENGTHS)["sft"].policy
    assert checkpointing == pytest.approx((16 * 100 * 3 + 3 * 4 * 100) * 4 / 3)
    off = make("sft=null", "generate.contenders=[base, tuned]")
    assert stage_work(off, LENGTHS)["sft"].operations({"policy": 10**9, "reward": 1}) == 0


def test_the_reward_model() -> None:
    """8 rankings × 2 answers × 50 tokens × 3, 2 held out × 100 at the start and after 2 steps; 8 answers of 20 to 10 tokens."""
    work = stage_work(make(), LENGTHS)["reward"]
    assert work.reward == 8 * 100 * 3 + 2 * 200
    assert work.policy == 8 * (10 + 4 * 20)
    assert stage_work(make("reward.members=3"), LENGTHS)["reward"].reward == 3 * work.reward


def test_ppo() -> None:
    """8 prompts × 3 iterations: written, judged by policy, values and reference, learned from twice; 4 answers at 0, 2 and 3."""
    written, whole = 10 + 4 * 20, 30
    work = stage_work(make(), LENGTHS)["ppo"]
    assert work.policy == 3 * 8 * (written + 3 * whole + 2 * 3 * whole) + 3 * 4 * (written + whole)
    assert work.reward == whole * (3 * 8 + 3 * 4)
    free = stage_work(make("ppo.kl_coef=0"), LENGTHS)["ppo"]
    assert work.policy - free.policy == 3 * 8 * whole  # no reference runs
    assert stage_work(make("ppo.max_steps=1"), LENGTHS)["ppo"].policy < work.policy / 2


def test_completions_and_evaluation() -> None:
    """3 contenders × 10 prompts × (10 read, 5 written); best-of-4 writes four more each."""
    works = stage_work(make(), LENGTHS)
    assert works["generate"].policy == 3 * 10 * (10 + 4 * 5)
    assert works["evaluate"].reward == 3 * 10 * 15
    assert stage_work(make("generate.best_of={n: 4}"), LENGTHS)["generate"].policy == 7 * 10 * 30


def test_operations_are_twice_the_parameters_for_each_token() -> None:
    work = stage_work(make(), LENGTHS)["reward"]
    assert work.operations({"policy": 7, "reward": 5}) == 2 * (7 * work.policy + 5 * work.reward)


def test_the_data_of_a_configuration_is_measured() -> None:
    """As `limit: 24` says, 24 of each; the tiny model reads bytes."""
    config = load_config(ROOT / "configs" / "tiny.yaml")
    lengths = measure_data(config.data)
    assert [len(rows) for rows in (lengths.asked, lengths.judged, lengths.shown, lengths.ranked)] == [24] * 4
    assert min(lengths.asked) > 5 and all(len(answers) >= 2 for answers in lengths.ranked)
    text = [json.loads(line)["prompt"] for line in config.data.prompts.read_text().splitlines()]
    assert set(lengths.asked) <= {len(one) for one in text}


def test_the_size_of_a_model_is_read_from_the_head_of_its_weights(tmp_path: Path) -> None:
    header = json.dumps({"__metadata__": {}, "a": {"shape": [3, 4]}, "b": {"shape": [5]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    assert parameters_of(str(tmp_path)) == 17
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "policy.json").write_text('{"base": ".."}')
    assert parameters_of(str(tmp_path / "adapter")) == 17
    (tmp_path / "adapter" / "policy.json").write_text('{"base": "packaged:minilm-l6"}')
    assert parameters_of(str(tmp_path / "adapter")) == PARAMETERS["packaged:minilm-l6"]


def test_a_model_that_is_not_here_has_no_size(tmp_path: Path) -> None:
    (tmp_path / "torn.safetensors").write_bytes(b"\x05")
    assert parameters_of("owner/name") is None and parameters_of(str(tmp_path)) is None


def test_the_tiny_model_has_the_stated_size() -> None:
    """The embeddings are the output's too, and stored once."""
    assert parameters_of(str(resolve("tiny"))) == PARAMETERS["tiny"]


@pytest.mark.real_model
def test_packaged_models_have_the_stated_sizes(fetched_models: None) -> None:
    for name, size in PARAMETERS.items():
        assert parameters_of(str(resolve(name))) == size, name
