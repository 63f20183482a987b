"""Reward-model training with TRL, and what a model so trained has learnt."""

from __future__ import annotations

import tempfile
import time

import torch
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from trl import RewardConfig, RewardTrainer

from benchmarks.work import Work, preference_pairs, read_pairs

LENGTH = 128
SPARE = 8  # tokens for what the tokenizer and the trainer add


def trained(work: Work) -> tuple[int, float]:
    """Train on every pair once; return (pairs, seconds)."""
    trainer, seconds = _train(work)
    return len(trainer.train_dataset), seconds


def accuracy(work: Work) -> tuple[float, float]:
    """Train on every pair once, in an order of the seed's; return (share of held-out pairs in people's order, seconds)."""
    trainer, seconds = _train(work)
    held_out = read_pairs(work.held_out)
    chosen, rejected = (
        _scores(trainer, [f"{pair.prompt} {getattr(pair, side)}" for pair in held_out])
        for side in ("chosen", "rejected")
    )
    return (chosen > rejected).float().mean().item(), seconds


def _train(work: Work) -> tuple[RewardTrainer, float]:
    torch.manual_seed(work.seed)
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
            seed=work.seed,
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
        return trainer, time.perf_counter() - started


@torch.no_grad()
def _scores(trainer: RewardTrainer, texts: list[str]) -> torch.Tensor:
    """Score texts as the trainer fed them: cut, and closed with what it takes for an eos."""
    tokenizer, model = trainer.processing_class, trainer.model.eval()
    closed = [f"{_cut(tokenizer, text)}{tokenizer.eos_token}" for text in texts]
    found = [tokenizer(closed[n : n + 32], padding=True, return_tensors="pt") for n in range(0, len(closed), 32)]
    return torch.cat([model(**batch.to(model.device)).logits[:, 0] for batch in found])


def _cut(tokenizer, text: str) -> str:
    """The end of a text, short enough for the trainer, which leaves out what is too long."""
    ids = tokenizer(text, truncation=True, max_length=LENGTH - SPARE, add_special_tokens=False)["input_ids"]
    return tokenizer.decode(ids)
