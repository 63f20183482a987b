"""The configuration of a pipeline: frozen pydantic models, read from YAML by config_files.py.

Relative paths inside a YAML file are relative to that file; paths given with `--set` to the working directory.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from rlhf_core.config_files import RunConfig, Section, read_config

PATH_KEYS = (
    ("run_root",),
    ("data", "prompts"),
    ("data", "demonstrations"),
    ("data", "rankings"),
    ("evaluate", "detoxify_checkpoint"),
)
MODEL_KEYS = (("policy", "model"), ("reward", "model"))


class DataConfig(Section):
    """Which files to learn from, and how much of them."""

    prompts: Path
    demonstrations: Path
    rankings: Path
    limit: int | None = Field(default=None, ge=8, description="use only this many rows of each file (for tests)")


class LoraConfig(Section):
    """Low-rank adapters (Hu et al. 2021, arXiv 2106.09685). Attention alone trains nearly twice as fast as all layers."""

    targets: Literal["attention", "all-linear"] = "attention"
    r: int = Field(default=16, ge=1, le=512)
    alpha: int = Field(default=32, ge=1)
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
        description="of the frozen base; auto takes bfloat16 where the processor multiplies it fast, else float32",
    )
    lora: LoraConfig | None = Field(default_factory=LoraConfig, description="null trains all weights")
    system_prompt: str = "Answer in one or two short sentences."
    max_prompt_tokens: int = Field(default=192, ge=8)


class OptimConfig(Section):
    """AdamW with linear warm-up, then linear decay to zero."""

    lr: float = Field(default=1e-4, gt=0, lt=1)
    warmup_ratio: float = Field(default=0.05, ge=0, le=1)
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)


class SFTConfig(Section):
    """Supervised fine-tuning on demonstrations."""

    epochs: int = Field(default=2, ge=1)
    batch_size: int = Field(default=16, ge=1, description="examples per optimiser step")
    micro_batch_size: int = Field(default=8, ge=1, description="examples per forward pass; gradients accumulate")
    max_length: int = Field(default=256, ge=16)
    packing: bool = False
    eval_fraction: float = Field(default=0.1, gt=0, lt=0.5)
    eval_every: int = Field(default=6, ge=1)
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
    epochs: int = Field(default=3, ge=1)
    batch_size: int = Field(default=4, ge=1, description="ranked prompts per optimiser step")
    max_length: int = Field(default=128, ge=16)
    margin: float = Field(default=0.0, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    centering: float = Field(default=0.01, ge=0, description="weight of mean((r_chosen + r_rejected)²)")
    eval_fraction: float = Field(default=0.2, gt=0, lt=0.5)
    eval_every: int = Field(default=20, ge=1)
    normalise_on: int = Field(default=64, ge=2, description="reference-policy samples that set mean 0 and sd 1")
    optim: OptimConfig = OptimConfig(lr=5e-5)


class PPOConfig(Section):
    """PPO against the reward model, with a KL price to the reference."""

    iterations: int = Field(default=10, ge=1)
    max_steps: int = Field(default=20_000, ge=1, description="upper bound on iterations, whatever the rest says")
    batch_size: int = Field(default=32, ge=1, description="prompts per iteration")
    minibatch_size: int = Field(default=8, ge=1)
    micro_batch_size: int = Field(default=8, ge=1)
    epochs: int = Field(default=2, ge=1)
    response_length: int = Field(default=64, ge=1, description="new tokens")
    temperature: float = Field(default=1.0, gt=0)
    kl_coef: float = Field(default=0.05, ge=0)
    kl_target: float | None = Field(default=None, gt=0, description="nats per response; given, β adapts to hold it")
    kl_horizon: int = Field(default=1000, ge=1, description="episodes; the pace of the adaptive β")
    target_kl: float | None = Field(default=0.1, gt=0, description="stop an update when policy/approxkl passes this")
    gamma: float = Field(default=1.0, gt=0, le=1)
    lam: float = Field(
        default=1.0, ge=0, le=1, description="λ of GAE; 1 credits every token of a response with its whole return"
    )
    clip_range: float = Field(default=0.2, gt=0)
    value_clip_range: float = Field(default=0.2, gt=0)
    value_coef: float = Field(default=0.1, ge=0)
    whiten_rewards: bool = False
    missing_eos_penalty: float = Field(default=1.0, ge=0)
    missing_eos_mode: Literal["subtract", "replace"] = "subtract"
    value_network: Literal["shared", "separate"] = "shared"
    lora_layers: int | None = Field(
        default=15,
        ge=1,
        description="adapt no more than the last N layers, so that those below run once a rollout; null: no limit",
    )
    eval_every: int = Field(default=5, ge=1)
    eval_prompts: int = Field(default=32, ge=2)
    checkpoint_every: int = Field(default=1, ge=1)
    optim: OptimConfig = OptimConfig(lr=1e-3, warmup_ratio=0.0)

    @model_validator(mode="after")
    def _divides(self) -> PPOConfig:
        if self.batch_size % self.minibatch_size:
            raise ValueError("batch_size must be a multiple of minibatch_size")
        if self.minibatch_size % self.micro_batch_size:
            raise ValueError("minibatch_size must be a multiple of micro_batch_size")
        return self


class GenerateConfig(Section):
    """Completions of every contender to the held-out prompts, for people and scorers."""

    contenders: tuple[Literal["base", "sft", "tuned"], ...] = ("base", "sft", "tuned")
    temperature: float = Field(default=0.7, gt=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_new_tokens: int = Field(default=64, ge=1)
    batch_size: int = Field(default=96, ge=1)


class EvaluateConfig(Section):
    """Scorers and intervals of the evaluation."""

    toxicity: tuple[Literal["profanity-check", "detoxify"], ...] = ("profanity-check",)
    detoxify_checkpoint: Path | None = Field(
        default=None, description="a local Detoxify checkpoint; only files you trust"
    )
    bootstrap: int = Field(default=2000, ge=100)


class PipelineConfig(RunConfig):
    """A whole pipeline: sft → reward → ppo → generate → evaluate."""

    path_keys = PATH_KEYS
    model_keys = MODEL_KEYS

    data: DataConfig
    policy: PolicyConfig = PolicyConfig()
    sft: SFTConfig = SFTConfig()
    reward: RewardConfig = RewardConfig()
    ppo: PPOConfig = PPOConfig()
    generate: GenerateConfig = GenerateConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @property
    def packaged_models(self) -> list[str]:
        """The names of the packaged models this configuration uses."""
        sources = {self.policy.model, self.reward.model}
        return sorted(s.removeprefix("packaged:") for s in sources if s.startswith("packaged:"))


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> PipelineConfig:
    """Read the configuration of a pipeline, apply `key.sub=value` overrides, and validate.

    Raises:
        ConfigError: file missing, not YAML, unknown key (the nearest one is suggested), or a value out of range.
    """
    return read_config(PipelineConfig, path, overrides)
