"""Reward-model training with TRL."""

from __future__ import annotations

import tempfile
import time

import torch
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from trl import RewardConfig, RewardTrainer

from benchmarks.work import Work, preference_pairs

LENGTH = 128
SPARE = 8  # tokens for what the tokenizer and the trainer add


def trained(work: Work) -> tuple[int, float]:
    """Train on every pair once; return (pairs, seconds)."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(work.encoder, truncation_side="left")
    tokenizer.eos_token = tokenizer.eos_token or tokenizer.sep_token  # the trainer needs one, and an encoder has none
    pairs = [
        {"chosen": _cut(tokenizer, f"{p.prompt} {p.chosen}"), "rejected": _cut(tokenizer, f"{p.prompt} {p.rejected}")}
        for p in preference_pairs(work)
    ]
    model = AutoModelForSequenceClassification.from_pretrained(work.encoder, num_labels=1, dtype=torch.float32)
    model.config.pad_token_id = tokenizer.pad_token_id
    with tempfile.TemporaryDirectory() as folder:
        settings = RewardConfig(
            output_dir=folder,
            per_device_train_batch_size=work.batch,
            num_train_epochs=1,
            max_length=LENGTH,
            learning_rate=5e-5,
            bf16=work.dtype == "bfloat16",
            gradient_checkpointing=False,
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            report_to=[],
        )
        data = Dataset.from_list(pairs)
        trainer = RewardTrainer(model=model, args=settings, train_dataset=data, processing_class=tokenizer)
        started = time.perf_counter()
        trainer.train()
        return len(trainer.train_dataset), time.perf_counter() - started


def _cut(tokenizer, text: str) -> str:
    """The end of a text, short enough for the trainer, which leaves out what is too long."""
    ids = tokenizer(text, truncation=True, max_length=LENGTH - SPARE, add_special_tokens=False)["input_ids"]
    return tokenizer.decode(ids)
