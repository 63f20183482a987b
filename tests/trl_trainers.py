"""TRL's own trainers on files of rows, as its users start them. Run by the Python of the peers' environment, which has TRL.

    .venv-peers/bin/python tests/trl_trainers.py MODEL TRAINER=FILE.jsonl...

TRAINER is sft, reward, dpo, kto or grpo; MODEL a Hugging Face folder, whose tokenizer has a chat template. Each file is trained
on for two steps of all its rows but what the trainer leaves out; a line of JSON says how many rows it took and the last loss.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"

import torch
from datasets import Dataset, load_dataset
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl import (
    DPOConfig,
    DPOTrainer,
    GRPOConfig,
    GRPOTrainer,
    KTOConfig,
    KTOTrainer,
    RewardConfig,
    RewardTrainer,
    SFTConfig,
    SFTTrainer,
)

STEPS, BATCH = 2, 2


def main(model: str, *asked: str) -> None:
    """Train on every file that is asked for and say how each went."""
    for one in asked:
        name, _, path = one.partition("=")
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps({"trainer": name, "file": path} | train(name, model, path, folder)), flush=True)


def train(name: str, model: str, path: str, folder: str) -> dict[str, Any]:
    """Train with one of TRL's trainers; return what it made of the file."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(model)
    rows = load_dataset("json", data_files=path, split="train", cache_dir=folder)
    trainer = TRAINERS[name](model, tokenizer, rows, _settings(folder))
    trainer.train()
    loss = [row["loss"] for row in trainer.state.log_history if "loss" in row][-1]
    taken = len(trainer.train_dataset)
    return {"rows": len(rows), "taken": taken, "steps": trainer.state.global_step, "loss": loss}


def _settings(folder: str) -> dict[str, Any]:
    return {
        "output_dir": folder, "per_device_train_batch_size": BATCH, "max_steps": STEPS, "learning_rate": 1e-4,
        "gradient_checkpointing": False, "bf16": False, "use_cpu": True, "save_strategy": "no", "report_to": [],
        "logging_steps": 1, "seed": 0,
    }  # fmt: skip


def _language(model: str) -> Any:
    return AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)


def _sft(model: str, tokenizer: Any, rows: Dataset, settings: dict[str, Any]) -> Any:
    return SFTTrainer(
        model=_language(model), args=SFTConfig(**settings), train_dataset=rows, processing_class=tokenizer
    )


def _reward(model: str, tokenizer: Any, rows: Dataset, settings: dict[str, Any]) -> Any:
    classifier = AutoModelForSequenceClassification.from_pretrained(model, num_labels=1, dtype=torch.float32)
    classifier.config.pad_token_id = tokenizer.pad_token_id
    return RewardTrainer(
        model=classifier, args=RewardConfig(**settings), train_dataset=rows, processing_class=tokenizer
    )


def _dpo(model: str, tokenizer: Any, rows: Dataset, settings: dict[str, Any]) -> Any:
    return DPOTrainer(
        model=_language(model), ref_model=_language(model), args=DPOConfig(**settings), train_dataset=rows,
        processing_class=tokenizer,
    )  # fmt: skip


def _kto(model: str, tokenizer: Any, rows: Dataset, settings: dict[str, Any]) -> Any:
    return KTOTrainer(
        model=_language(model), ref_model=_language(model), args=KTOConfig(**settings), train_dataset=rows,
        processing_class=tokenizer,
    )  # fmt: skip


def _grpo(model: str, tokenizer: Any, rows: Dataset, settings: dict[str, Any]) -> Any:
    def longer(completions: list[Any], **_: Any) -> list[float]:
        return [float(len(str(text))) for text in completions]

    args = GRPOConfig(**settings, num_generations=2, max_completion_length=4)
    return GRPOTrainer(
        model=_language(model), reward_funcs=longer, args=args, train_dataset=rows, processing_class=tokenizer
    )


TRAINERS: dict[str, Callable[[str, Any, Dataset, dict[str, Any]], Any]] = {
    "sft": _sft, "reward": _reward, "dpo": _dpo, "kto": _kto, "grpo": _grpo,
}  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
