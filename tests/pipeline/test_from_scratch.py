"""The whole chain from nothing, on the ready configurations made small: text → tokenizer and model → sft → reward → ppo."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from rlhf_core.config import PolicyConfig
from rlhf_core.models.policy import load_policy
from rlhf_core.models.rewards import load_reward_model
from rlhf_core.runs.metrics import find_metric

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SMALL_MODEL = (
    "tokenizer.vocab_size=512", "model.layers=2", "model.width=64", "model.heads=4", "model.kv_heads=2", "model.context=512",
    "epochs=null", "steps=8", "batch_size=4", "micro_batch_size=2", "eval_every=4", "checkpoint_every=4", "threads=1",
)  # fmt: skip
SMALL_LOOP = (
    "policy.max_prompt_tokens=240", "data.limit=24", "sft.epochs=2", "sft.batch_size=4", "sft.micro_batch_size=4",
    "sft.max_length=480", "sft.eval_every=4", "reward.epochs=1", "reward.max_length=240", "reward.normalise_on=8",
    "ppo.iterations=2", "ppo.batch_size=4", "ppo.minibatch_size=2", "ppo.micro_batch_size=2", "ppo.response_length=8",
    "ppo.eval_prompts=4", "generate.max_new_tokens=8",
)  # fmt: skip


def rlhf(root: Path, command: str, config: str, *settings: str) -> None:
    pairs = [part for setting in (f"run_root={root}", *settings) for part in ("--set", setting)]
    line = [sys.executable, "-m", "rlhf_core", command, f"configs/{config}.yaml", *pairs]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stdout + done.stderr


def rows(run: Path, stage: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / stage / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run root with a pretrained model and a pipeline, up to PPO, that grew from it."""
    root = tmp_path_factory.mktemp("runs")
    rlhf(root, "pretrain", "pretrain", *SMALL_MODEL)
    model = root / "pretrain" / "pretrain" / "model"
    for stage in ("sft", "reward", "ppo"):
        rlhf(root, stage, "from-scratch", f"policy.model={model}", f"reward.model={model}", *SMALL_LOOP)
    return root


def test_pretraining_learns_and_logs_what_is_in_the_registry(root: Path) -> None:
    logged = rows(root / "pretrain", "pretrain")
    held_out = [row for row in logged if "eval/loss" in row]
    assert [row["step"] for row in held_out] == [0, 4, 8]
    assert held_out[0]["eval/loss"] == pytest.approx(math.log(512), abs=0.2)  # nothing is known yet
    assert held_out[-1]["eval/loss"] < held_out[0]["eval/loss"] - 0.3
    for row in logged:
        for name, value in row.items():
            assert name in ("step", "time") or find_metric(name).low <= value <= find_metric(name).high


def test_fine_tuning_goes_on_from_there(root: Path) -> None:
    losses = [row["eval/loss"] for row in rows(root / "from-scratch", "sft") if "eval/loss" in row]
    assert min(losses) < losses[0]


def test_everything_it_leaves_loads_with_plain_libraries_and_with_ours(root: Path) -> None:
    folder, run = root / "pretrain" / "pretrain" / "model", root / "from-scratch"
    plain, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert plain.config.vocab_size == len(tokenizer) == 512
    assert len({tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id}) == 3
    for stage in ("sft", "ppo"):
        policy = load_policy(run / stage / "model", PolicyConfig(lora=None), trainable=False)
        assert policy.lm.config.num_hidden_layers == 2
    scores = load_reward_model(run / "reward" / "model").score(["Why?", "Why?"], ["Because.", "No."])
    assert scores.isfinite().all()
    assert len([row for row in rows(run, "ppo") if "objective/kl" in row]) == 2
