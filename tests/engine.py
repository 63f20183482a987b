"""Small things the engine's tests are made of: the tiny policy, a tiny BERT, episodes, rankings, stages."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from rlhf_core import stopping
from rlhf_core.config import LoraConfig, OptimConfig, PolicyConfig, PPOConfig, RewardConfig
from rlhf_core.data.collate import Example
from rlhf_core.data.records import Completion, Ranking
from rlhf_core.models.policy import Policy, ValueModel, load_policy
from rlhf_core.runs.directory import StageDirectory
from rlhf_core.training.optim import adamw
from rlhf_core.training.ppo import Learner
from rlhf_core.training.rollout import Episode
from rlhf_core.training.stage import Stage

LORA = LoraConfig(r=4, alpha=8)
PROMPTS = ("Name a colour.", "Why?", "Tell me about tea, please.", "How far is the moon?", "Sing.", "What is 2 + 2?")
TIMES = ("time", "time/rollout", "time/score", "time/update")


def tiny_policy(lora: LoraConfig | None = LORA, *, trainable: bool = True, dtype: Any = "float32") -> Policy:
    """Return the tiny policy, the same at every call."""
    torch.manual_seed(0)
    return load_policy("tiny", PolicyConfig(model="tiny", dtype=dtype, lora=lora), trainable=trainable)


def move(policy: Policy, size: float = 0.05, seed: int = 1) -> Policy:
    """Push the trainable weights off where they start, so that the policy differs from its reference."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in policy.trainable().values():
            weight.add_(size * torch.randn(weight.shape, generator=generator))
    return policy


def learner_on(policy: Policy, stage: Stage, config: PPOConfig) -> Learner:
    """Return PPO's learner of a policy, rewarded for vowels, with a fresh value model and optimiser."""
    value_model = ValueModel(policy, separate=config.value_network == "separate")
    weights = [*policy.trainable().values(), *(p for p in value_model.parameters() if p.requires_grad)]
    return Learner(policy, value_model, adamw(weights, config.optim), vowels, config, stage)


def episodes(policy: Policy, prompts: Sequence[str] = PROMPTS) -> list[Episode]:
    """Return the prompts as episodes, of different lengths."""
    return [Episode(f"p{n}", text, policy.encode_prompt(text, "", 128)) for n, text in enumerate(prompts)]


def examples(policy: Policy, count: int) -> list[Example]:
    """Return demonstrations that all answer in the same few words."""
    pairs = [(f"Question {n}?", "Yes." if n % 2 else "Certainly, yes.") for n in range(count)]
    return [Example(policy.encode_prompt(p, "", 128), policy.encode_response(r)) for p, r in pairs]


def rankings(count: int) -> list[Ranking]:
    """Return ranked prompts in which the answer with `good` in it wins, three completions each, every third with a tie."""
    return [
        Ranking(
            id=f"r{n}",
            prompt=f"Question {n}?",
            completions=[
                Completion(id="a", text=f"a good answer {n}"),
                Completion(id="b", text="bad"),
                Completion(id="c", text=f"a worse thing to say {n}"),
            ],
            ranking=[["a"], ["b", "c"]] if n % 3 == 0 else [["a"], ["b"], ["c"]],
        )
        for n in range(count)
    ]


def vowels(prompts: Sequence[str], responses: Sequence[str]) -> Tensor:
    """Score a response by its vowels: a reward that needs no model."""
    return torch.tensor([float(sum(c in "aeiou" for c in text)) for text in responses])


def ppo_config(**fields: Any) -> PPOConfig:
    """Return a PPO configuration of a second's work, with `fields` changed."""
    small: dict[str, Any] = {
        "iterations": 3, "batch_size": 4, "minibatch_size": 2, "micro_batch_size": 2, "response_length": 6,
        "eval_every": 1, "eval_prompts": 2, "checkpoint_every": 1, "optim": OptimConfig(lr=1e-3, warmup_ratio=0.0),
    }  # fmt: skip
    return PPOConfig(**(small | fields))


def reward_config(**fields: Any) -> RewardConfig:
    """Return a reward-model configuration on the tiny decoder, with `fields` changed."""
    small: dict[str, Any] = {
        "model": "tiny", "epochs": 2, "batch_size": 2, "max_length": 96, "eval_every": 2, "dtype": "float32",
    }  # fmt: skip
    return RewardConfig(**(small | fields))


def make_stage(
    path: Path,
    name: str = "ppo",
    seed: int = 0,
    report: Callable[[int, int, str], None] | None = None,
    inputs: str = "x",
) -> Stage:
    """Return a stage that writes to `path/name`; that of a `Pauser` can be asked to pause."""
    stage = Stage(name, StageDirectory(path / name), seed, inputs)
    stage = replace(stage, report=report) if report else stage
    return replace(stage, stop=report.stop) if isinstance(report, Pauser) else stage


def logged(stage: Stage, file: str = "metrics.jsonl") -> list[dict[str, Any]]:
    """Return the rows a stage has logged, without the times."""
    lines = (stage.path / file).read_text(encoding="utf-8").splitlines()
    return [{name: v for name, v in json.loads(line).items() if name not in TIMES} for line in lines]


class Pauser:
    """A reporter that says nothing, of a stage that can be asked to pause by `stop`."""

    def __init__(self) -> None:
        self.stop = stopping.Stop()

    def __call__(self, done: int, total: int, message: str) -> None:
        return None


class Stop(Exception):
    """The end of a training run, as sudden as a kill."""


def stop_at(step: int) -> Callable[[int, int, str], None]:
    """Return a reporter that stops training after `step` steps."""

    def report(done: int, total: int, message: str) -> None:
        if done == step and "resumed" not in message:
            raise Stop

    return report


def write_bert(folder: Path, dropout: float = 0.1, labels: Sequence[str] = ("score",), **settings: Any) -> Path:
    """Write a BERT of two layers with random weights and a one-character vocabulary."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {token: n for n, token in enumerate(special + [chr(c) for c in range(33, 127)])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=128, hidden_dropout_prob=dropout,
        id2label=dict(enumerate(labels)), label2id={label: n for n, label in enumerate(labels)}, **settings,
    )  # fmt: skip
    torch.manual_seed(3)
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
