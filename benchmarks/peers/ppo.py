"""PPO with TRL: all weights learn; value model, reference and reward model are as large as the policy."""

from __future__ import annotations

import os
import tempfile
import time

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl.experimental.ppo import PPOConfig, PPOTrainer

from benchmarks.work import Work, random_prompts


def full(work: Work) -> tuple[int, float]:
    """Run `steps` iterations; return (tokens, seconds)."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(work.model, padding_side="left")
    if tokenizer.pad_token_id in (None, tokenizer.eos_token_id):
        tokenizer.pad_token = "<|endoftext|>"
    prompts = Dataset.from_dict({"input_ids": random_prompts(work, work.steps * work.batch)})
    language, classifier = AutoModelForCausalLM, AutoModelForSequenceClassification
    with tempfile.TemporaryDirectory() as folder:
        trainer = PPOTrainer(
            args=_settings(work, folder),
            processing_class=tokenizer,
            model=_load(language, work),
            ref_model=_load(language, work),
            value_model=_load(classifier, work, num_labels=1),
            reward_model=_load(classifier, work, num_labels=1),
            train_dataset=prompts,
            eval_dataset=prompts,
        )
        started = time.perf_counter()
        trainer.train()
        return work.tokens, time.perf_counter() - started


def _load(kind, work: Work, **settings):
    return kind.from_pretrained(work.model, dtype=getattr(torch, work.dtype), **settings)


def _settings(work: Work, folder: str) -> PPOConfig:
    return PPOConfig(
        output_dir=folder,
        total_episodes=work.steps * work.batch,
        per_device_train_batch_size=work.batch,
        local_rollout_forward_batch_size=work.batch,
        num_mini_batches=1,
        num_ppo_epochs=work.epochs,
        response_length=work.response,
        stop_token=None,
        temperature=1.0,
        learning_rate=1e-6,
        num_sample_generations=0,
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=not torch.cuda.is_available(),
        save_strategy="no",
        report_to=[],
    )
