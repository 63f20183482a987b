"""The configuration of pretraining: a tokenizer and a small language model, both from plain text and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from rlhf_core.config.section import RunConfig, Section
from rlhf_core.config.training import OptimConfig

SMALLEST_VOCABULARY = 256 + 3
SUFFIXES = (".txt", ".jsonl")


def _text_file(path: Path) -> Path:
    if path.suffix not in SUFFIXES:
        raise ValueError(f"text is read from files that end in {' or '.join(SUFFIXES)}")
    return path


class TokenizerConfig(Section):
    """A byte-level BPE tokenizer: any text can be written in it, whatever it was trained on."""

    vocab_size: int = Field(
        default=2048, description="at most; a text that is too short for so many tokens gives fewer"
    )

    @model_validator(mode="after")
    def _has_room(self) -> TokenizerConfig:
        if self.vocab_size < SMALLEST_VOCABULARY:
            raise ValueError(f"vocab_size must be at least {SMALLEST_VOCABULARY}: 256 bytes and 3 special tokens")
        return self


class ModelConfig(Section):
    """A decoder of the Llama architecture with tied embeddings."""

    layers: int = Field(default=4, ge=1)
    width: int = Field(default=192, ge=2)
    heads: int = Field(default=6, ge=1)
    kv_heads: int = Field(default=6, ge=1, description="fewer than heads: groups of heads share keys and values")
    context: int = Field(
        default=256, ge=8, description="tokens the model can look back on; also the length of a window"
    )

    @model_validator(mode="after")
    def _divides(self) -> ModelConfig:
        if self.width % (2 * self.heads):
            raise ValueError("width must be a multiple of 2 · heads: rotary positions turn pairs of a head's numbers")
        if self.heads % self.kv_heads:
            raise ValueError("heads must be a multiple of kv_heads")
        return self


class PretrainConfig(RunConfig):
    """Next-token training from random weights."""

    command = "pretrain"
    example = "configs/pretrain.yaml"
    path_keys = (("run_root",), ("text",), ("held_out_prompts",))

    text: tuple[Annotated[Path, AfterValidator(_text_file)], ...] = Field(
        min_length=1, description=".txt or .jsonl files"
    )
    fields: tuple[str, ...] = Field(
        default=("text",),
        min_length=1,
        description="of a .jsonl row, those it has make one document; `a.b` is field b of a, or of each item of a",
    )
    separator: str = Field(
        default="", description="the line that ends a document of a .txt file; an empty line by default"
    )
    held_out_prompts: Path | None = Field(
        default=None, description="a prompts file: text that holds one of its `eval` prompts is refused"
    )
    eval_fraction: float = Field(default=0.05, gt=0, lt=0.5, description="share of the documents held out")
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig = ModelConfig()
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="of the matrix products; weights and losses are float32 throughout"
    )
    epochs: int | None = Field(default=None, ge=1)
    steps: int | None = Field(default=None, ge=1, description="optimiser steps, in place of epochs")
    batch_size: int = Field(default=16, ge=1, description="windows per optimiser step")
    micro_batch_size: int = Field(default=16, ge=1, description="windows per forward pass; gradients accumulate")
    eval_every: int = Field(default=50, ge=1)
    checkpoint_every: int = Field(default=50, ge=1)
    patience: int = Field(default=5, ge=1, description="stop after this many held-out evaluations without improvement")
    optim: OptimConfig = OptimConfig(lr=2e-3, warmup_ratio=0.05, weight_decay=0.1)

    @model_validator(mode="after")
    def _fits(self) -> PretrainConfig:
        if self.batch_size % self.micro_batch_size:
            raise ValueError("batch_size must be a multiple of micro_batch_size")
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give epochs or steps, one of the two")
        return self
