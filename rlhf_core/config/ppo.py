"""PPO and its guards."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from rlhf_core.config.rewards import AnyReward, LearnedReward, ToxicityReward
from rlhf_core.config.section import Section
from rlhf_core.config.training import OptimConfig


class GuardsConfig(Section):
    """When PPO ends before its iterations are done, which state becomes the model, and what counts as collapse.

    Each alarm compares a batch of responses with the first batch of the run; the one on KL, with the batch before.
    """

    kl_budget: float | None = Field(
        default=None, gt=0, description="nats per response; end when objective/kl passes it, one state within it kept"
    )
    score_threshold: float | None = Field(default=None, description="end when eval/score reaches it")
    patience: int | None = Field(
        default=None, ge=1, description="end after this many held-out evaluations without a new best; keeps the best"
    )
    keep_best: bool = Field(
        default=False, description="the model is the state with the best eval/score, the untrained one included"
    )
    on_alarm: Literal["warn", "stop"] = Field(default="warn", description="stop ends the run at the first alarm")
    entropy_floor: float = Field(default=0.3, ge=0, lt=1, description="share of the first policy/entropy")
    length_floor: float = Field(default=0.3, ge=0, lt=1, description="share of the first tokens/response_length")
    length_ceiling: float = Field(default=3.0, gt=1, description="multiple of the first tokens/response_length")
    diversity_floor: float = Field(default=0.5, ge=0, lt=1, description="share of the first tokens/distinct_2")
    kl_jump: float = Field(default=5.0, gt=0, description="nats by which objective/kl may grow in one iteration")

    @property
    def keeps_best(self) -> bool:
        """Whether the best state becomes the model; patience would make no sense otherwise."""
        return self.keep_best or self.patience is not None

    @property
    def goes_back(self) -> bool:
        """Whether a batch can end the run, and the policy that wrote it is then given up."""
        return self.kl_budget is not None or self.on_alarm == "stop"


class PPOConfig(Section):
    """PPO against the reward model, with a KL price to the reference."""

    rewards: tuple[AnyReward, ...] = Field(
        default=(LearnedReward(),), description="sources of the score, which is Σ weight·source"
    )
    audits: tuple[AnyReward, ...] = Field(
        default=(ToxicityReward(name="profanity"),),
        description="sources that are never optimised, measured on the held-out prompts; they take no weight",
    )
    iterations: int = Field(default=10, ge=1, description="batches that are written, scored and learned from")
    max_steps: int = Field(default=20_000, ge=1, description="upper bound on iterations, whatever the rest says")
    batch_size: int = Field(default=32, ge=1, description="prompts per iteration")
    minibatch_size: int = Field(default=8, ge=1, description="responses per optimiser step")
    micro_batch_size: int = Field(default=8, ge=1, description="responses per forward pass; gradients accumulate")
    epochs: int = Field(default=2, ge=1, description="passes over each batch")
    response_length: int = Field(default=64, ge=1, description="new tokens")
    temperature: float = Field(default=1.0, gt=0, description="of sampling while training")
    kl_coef: float = Field(default=0.05, ge=0, description="β, the price of one nat of drift from the reference")
    kl_target: float | None = Field(default=None, gt=0, description="nats per response; given, β adapts to hold it")
    kl_horizon: int = Field(default=1000, ge=1, description="episodes; the pace of the adaptive β")
    target_kl: float | None = Field(default=0.1, gt=0, description="stop an update when policy/approxkl passes this")
    gamma: float = Field(default=1.0, gt=0, le=1, description="discount of later rewards")
    lam: float = Field(
        default=1.0, ge=0, le=1, description="λ of GAE; 1 credits every token of a response with its whole return"
    )
    clip_range: float = Field(default=0.2, gt=0, description="how far the ratio of new to old probability may pay off")
    value_clip_range: float = Field(default=0.2, gt=0, description="how far a value may move in one update")
    value_coef: float = Field(default=0.1, ge=0, description="weight of the value loss")
    whiten_rewards: bool = Field(default=False, description="give the rewards of a batch variance 1")
    missing_eos_penalty: float = Field(default=1.0, ge=0, description="price of a response that does not end by itself")
    missing_eos_mode: Literal["subtract", "replace"] = Field(
        default="subtract", description="take the price off the score, or put it in the place of the score"
    )
    value_network: Literal["shared", "separate"] = Field(
        default="shared", description="a head on the policy's own layers, or a copy that learns apart"
    )
    gradient_checkpointing: bool = Field(
        default=False, description="as in sft; of the policy, not a separate value model"
    )
    lora_layers: int | None = Field(
        default=15,
        ge=1,
        description="adapt no more than the last N layers, so that those below run once a rollout; null: no limit",
    )
    eval_every: int = Field(default=5, ge=1, description="iterations between held-out evaluations")
    eval_prompts: int = Field(default=32, ge=2, description="held-out prompts answered at each of them")
    checkpoint_every: int = Field(
        default=1, ge=1, description="iterations between checkpoints, from which a stopped run goes on"
    )
    guards: GuardsConfig = GuardsConfig()
    optim: OptimConfig = OptimConfig(lr=1e-3, warmup_ratio=0.0)

    @property
    def runs_reference(self) -> bool:
        """Whether training runs the reference: with no price on the KL, now or later, nothing needs it."""
        return self.kl_coef > 0 or self.kl_target is not None

    @model_validator(mode="after")
    def _divides(self) -> PPOConfig:
        if self.batch_size % self.minibatch_size:
            raise ValueError("batch_size must be a multiple of minibatch_size")
        if self.minibatch_size % self.micro_batch_size:
            raise ValueError("minibatch_size must be a multiple of micro_batch_size")
        return self

    @model_validator(mode="after")
    def _sources_have_names_and_weights(self) -> PPOConfig:
        for place, sources in (("rewards", self.rewards), ("audits", self.audits)):
            names = [source.name for source in sources]
            if len(set(names)) < len(names):
                raise ValueError(f"{place}: every name must occur once, found {', '.join(names)}")
        if not self.rewards or not all(source.weight for source in self.rewards):
            raise ValueError("rewards: needs a source, and none of weight 0; what is only watched goes under audits")
        if any(source.weight != 1 for source in self.audits):
            raise ValueError("audits: are not weighed; leave out their weight")
        return self

    @model_validator(mode="after")
    def _budget_is_measured(self) -> PPOConfig:
        if self.guards.kl_budget and not self.runs_reference:
            raise ValueError("guards.kl_budget needs a measured KL: kl_coef above 0, or a kl_target")
        return self
