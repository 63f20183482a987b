"""Data, models, optimiser, fine-tuning and reward-model sections."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from rlhf_core.config.section import Section


class DataConfig(Section):
    """Which files to learn from, and how much of them."""

    prompts: Path = Field(description="JSONL prompts; those of split eval are held out for judging")
    demonstrations: Path = Field(description="JSONL answers worth imitating, for fine-tuning")
    rankings: Path = Field(description="JSONL answers that people ranked, for the reward model")
    refusal_prompts: Path | None = Field(
        default=None,
        description="XSTest's CSV, or JSONL prompts of category safe and unsafe: how often each contender declines them",
    )
    limit: int | None = Field(default=None, ge=8, description="use only this many rows of each file (for tests)")


class LoraConfig(Section):
    """Low-rank adapters (Hu et al. 2021, arXiv 2106.09685). Attention alone trains nearly twice as fast as all layers."""

    targets: Literal["attention", "all-linear"] = Field(default="attention", description="which matrices get adapters")
    r: int = Field(default=16, ge=1, le=512, description="rank of an adapter")
    alpha: int = Field(default=32, ge=1, description="scale of an adapter: its output counts alpha/r")
    layers: int | None = Field(
        default=None, ge=1, description="adapt only this many layers, the last ones; null adapts all"
    )

    def at_most(self, layers: int | None) -> LoraConfig:
        """These adapters in no more than the last `layers` layers; None sets no limit."""
        limits = [limit for limit in (self.layers, layers) if limit is not None]
        return self.model_copy(update={"layers": min(limits, default=None)})


class PolicyConfig(Section):
    """The language model that is tuned."""

    model: str = Field(default="packaged:smollm2-135m-instruct", description="folder, packaged:NAME, hub id, or tiny")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="of the frozen base; auto takes bfloat16 where the processor multiplies it fast, else float32. "
        "With lora: null the weights learn in float32, where small steps are not lost, and are multiplied in it",
    )
    lora: LoraConfig | None = Field(default_factory=LoraConfig, description="null trains all weights")
    system_prompt: str = Field(
        default="Answer in one or two short sentences.", description="stands before every prompt; empty for none"
    )
    max_prompt_tokens: int = Field(default=192, ge=8, description="longest prompt, the system prompt included")
    long_prompts: Literal["refuse", "drop_turns"] = Field(
        default="refuse", description="drop_turns forgets the oldest turns of a conversation until the rest fits"
    )


class OptimConfig(Section):
    """AdamW with linear warm-up, then linear decay to zero."""

    lr: float = Field(default=1e-4, gt=0, lt=1, description="learning rate at its highest")
    warmup_ratio: float = Field(default=0.05, ge=0, le=1, description="share of the steps in which the rate rises")
    weight_decay: float = Field(
        default=0.0, ge=0, description="pull of the weights to zero, decoupled from the gradient"
    )
    max_grad_norm: float = Field(default=1.0, gt=0, description="longer gradients are cut to this length")
    eps: float = Field(default=1e-5, gt=0, description="added to Adam's root mean square of the gradient")


class SFTConfig(Section):
    """Supervised fine-tuning on demonstrations."""

    epochs: int = Field(default=2, ge=1, description="passes over the demonstrations")
    batch_size: int = Field(default=16, ge=1, description="examples per optimiser step")
    micro_batch_size: int = Field(default=8, ge=1, description="examples per forward pass; gradients accumulate")
    max_length: int = Field(default=256, ge=16, description="longest example in tokens")
    packing: bool = Field(default=False, description="put several examples into one row, so that nothing is padding")
    learn_from: Literal["last", "all"] = Field(
        default="last", description="which replies of a conversation the loss counts; the last is the response"
    )
    gradient_checkpointing: bool = Field(
        default=False,
        description="keep no activations inside layers, compute them again: less memory, a third more time",
    )
    eval_fraction: float = Field(default=0.1, gt=0, lt=0.5, description="share of the demonstrations held out")
    eval_every: int = Field(default=6, ge=1, description="steps between held-out evaluations")
    patience: int = Field(default=3, ge=1, description="stop after this many held-out evaluations without improvement")
    optim: OptimConfig = OptimConfig(lr=5e-4)

    @model_validator(mode="after")
    def _divides(self) -> SFTConfig:
        if self.batch_size % self.micro_batch_size:
            raise ValueError("batch_size must be a multiple of micro_batch_size")
        return self


class RewardConfig(Section):
    """The reward model, trained on rankings."""

    model: str = Field(
        default="packaged:minilm-l6", description="encoder or decoder; folder, packaged:NAME, hub id, or tiny"
    )
    lora: LoraConfig | None = Field(default=None, description="adapters for a large backbone; null trains all weights")
    layers: int | None = Field(
        default=None, ge=1, description="train only this many layers, the last ones, and what follows; null trains all"
    )
    by_category: bool = Field(
        default=False,
        description="a score head for each category of the rankings: for people who want the opposite of one kind of prompt "
        "what they want of another",
    )
    members: int = Field(default=1, ge=1, description="models of an ensemble; they differ in head and data order")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="of matrix products while training; auto takes bfloat16 where the processor multiplies it fast",
    )
    epochs: int = Field(default=3, ge=1, description="passes over the rankings")
    batch_size: int = Field(default=4, ge=1, description="ranked prompts per optimiser step")
    max_length: int = Field(default=128, ge=16, description="tokens read of prompt and answer; of longer ones the end")
    margin: float = Field(default=0.0, ge=0, description="how far above the worse answer the better one should score")
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5, description="chance that a ranking is taken to be wrong")
    centering: float = Field(default=0.01, ge=0, description="weight of mean((r_chosen + r_rejected)²)")
    eval_fraction: float = Field(default=0.2, gt=0, lt=0.5, description="share of the ranked prompts held out")
    eval_every: int = Field(default=20, ge=1, description="steps between held-out evaluations")
    normalise_on: int = Field(default=64, ge=2, description="reference-policy samples that set mean 0 and sd 1")
    optim: OptimConfig = OptimConfig(lr=5e-5, eps=1e-8)

    @model_validator(mode="after")
    def _one_choice_of_layers(self) -> RewardConfig:
        if self.lora and self.layers:
            raise ValueError("layers is for training without adapters; with adapters set lora.layers")
        return self
