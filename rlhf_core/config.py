"""The configuration of a pipeline: frozen pydantic models read from YAML, with dotted overrides.

Relative paths inside a YAML file are relative to that file; paths given with `--set` to the working directory.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from rlhf_core.anchors import anchor_paths
from rlhf_core.data.contenders import BestOf
from rlhf_core.errors import ConfigError, shorten
from rlhf_core.reward_sources import AnyReward, ClassifierReward, LearnedReward, ToxicityReward
from rlhf_core.section import Section

PATH_KEYS = (
    ("run_root",),
    ("data", "prompts"),
    ("data", "demonstrations"),
    ("data", "rankings"),
    ("evaluate", "detoxify_checkpoint"),
)
MODEL_KEYS = (
    ("policy", "model"),
    ("reward", "model"),
    ("ppo", "rewards", "*", "model"),
    ("ppo", "rewards", "*", "models"),
    ("ppo", "audits", "*", "model"),
    ("ppo", "audits", "*", "models"),
)
"""Model sources: a path when a folder lies there, else a name. A `*` is every entry of a list."""


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
        description="of the frozen base; auto takes bfloat16 where the processor multiplies it fast, else float32. "
        "With lora: null the weights are read in it and learn in float32, where small steps are not lost",
    )
    lora: LoraConfig | None = Field(default_factory=LoraConfig, description="null trains all weights")
    system_prompt: str = "Answer in one or two short sentences."
    max_prompt_tokens: int = Field(default=192, ge=8)
    long_prompts: Literal["refuse", "drop_turns"] = Field(
        default="refuse", description="drop_turns forgets the oldest turns of a conversation until the rest fits"
    )


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
    learn_from: Literal["last", "all"] = Field(
        default="last", description="which replies of a conversation the loss counts; the last is the response"
    )
    gradient_checkpointing: bool = Field(
        default=False,
        description="keep no activations inside layers, compute them again: less memory, a third more time",
    )
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
    members: int = Field(default=1, ge=1, description="models of an ensemble; they differ in head and data order")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="of matrix products while training; auto takes bfloat16 where the processor multiplies it fast",
    )
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
    gradient_checkpointing: bool = Field(
        default=False, description="as in sft; of the policy, not a separate value model"
    )
    lora_layers: int | None = Field(
        default=15,
        ge=1,
        description="adapt no more than the last N layers, so that those below run once a rollout; null: no limit",
    )
    eval_every: int = Field(default=5, ge=1)
    eval_prompts: int = Field(default=32, ge=2)
    checkpoint_every: int = Field(default=1, ge=1)
    guards: GuardsConfig = GuardsConfig()
    optim: OptimConfig = OptimConfig(lr=1e-3, warmup_ratio=0.0)

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
        if self.guards.kl_budget and not (self.kl_coef or self.kl_target):
            raise ValueError("guards.kl_budget needs a measured KL: kl_coef above 0, or a kl_target")
        return self


class BestOfConfig(Section):
    """A baseline that trains nothing: of n answers the reward model picks the best."""

    n: int = Field(ge=2, description="answers per prompt")
    contender: Literal["base", "sft", "tuned"] = Field(default="sft", description="who writes them")

    @property
    def name(self) -> str:
        """The name of the contender this makes."""
        return BestOf(self.n, self.contender).name


class GenerateConfig(Section):
    """Completions of every contender to the held-out prompts, for people and scorers."""

    contenders: tuple[Literal["base", "sft", "tuned"], ...] = ("base", "sft", "tuned")
    best_of: BestOfConfig | None = Field(default=None, description="one more contender, best-of-n; null: none")
    temperature: float = Field(default=0.7, gt=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_new_tokens: int = Field(default=64, ge=1)
    batch_size: int = Field(default=96, ge=1, description="answers at once")

    @property
    def names(self) -> list[str]:
        """All contenders, in the order in which they answer."""
        return [*self.contenders, *([self.best_of.name] if self.best_of else [])]


class EvaluateConfig(Section):
    """Scorers and intervals of the evaluation."""

    toxicity: tuple[Literal["profanity-check", "detoxify"], ...] = ("profanity-check",)
    detoxify_checkpoint: Path | None = Field(
        default=None, description="a local Detoxify checkpoint; only files you trust"
    )
    bootstrap: int = Field(default=2000, ge=100)


class PipelineConfig(Section):
    """A whole pipeline: sft → reward → ppo → generate → evaluate."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    run_root: Path = Path("runs")
    seed: int = Field(default=0, ge=0)
    threads: int | None = Field(default=None, ge=1)
    data: DataConfig
    policy: PolicyConfig = PolicyConfig()
    sft: SFTConfig | None = Field(default=SFTConfig(), description="null: PPO starts from the base model")
    reward: RewardConfig = RewardConfig()
    ppo: PPOConfig = PPOConfig()
    generate: GenerateConfig = GenerateConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @model_validator(mode="before")
    @classmethod
    def _leaves_out_what_is_not_made(cls, raw: Any) -> Any:
        """Without fine-tuning, `sft` is no contender unless it is asked for, which `_has_its_contenders` refuses."""
        generate = raw.get("generate", {}) if isinstance(raw, dict) and raw.get("sft", True) is None else None
        if isinstance(generate, dict) and "contenders" not in generate:
            return raw | {"generate": generate | {"contenders": ("base", "tuned")}}
        return raw

    @model_validator(mode="after")
    def _has_its_contenders(self) -> PipelineConfig:
        if self.sft is None and "sft" in self.generate.contenders:
            raise ValueError("generate.contenders: sft would be base, for sft is null; leave it out")
        return self

    @property
    def run_path(self) -> Path:
        """The run directory of this configuration."""
        return self.run_root / self.name

    @property
    def models(self) -> list[str]:
        """All model sources this configuration uses."""
        rewards = (*self.ppo.rewards, *self.ppo.audits)
        learned = {folder for source in rewards if isinstance(source, LearnedReward) for folder in source.models}
        classifiers = {source.model for source in rewards if isinstance(source, ClassifierReward)}
        return sorted({self.policy.model, self.reward.model} | learned | classifiers)

    @property
    def packaged_models(self) -> list[str]:
        """The names of the packaged models this configuration uses."""
        return [s.removeprefix("packaged:") for s in self.models if s.startswith("packaged:")]

    @model_validator(mode="after")
    def _combines_several(self) -> PipelineConfig:
        for source in (*self.ppo.rewards, *self.ppo.audits):
            if not isinstance(source, LearnedReward) or source.models or source.combine == "mean":
                continue
            if self.reward.members == 1:
                raise ValueError(
                    f"ppo.rewards: {source.name} combines several models; reward.members must be 2 or more"
                )
        return self

    def to_yaml(self) -> str:
        """Return the resolved configuration as YAML."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> PipelineConfig:
    """Read a YAML file, apply `key.sub=value` overrides, and validate.

    Raises:
        ConfigError: file missing, not YAML, unknown key (the nearest one is suggested), or a value out of range.
    """
    path = Path(path)
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            "no such file", where=path, remedy="configs/quickstart.yaml is the one to start from"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"not YAML: {' '.join(str(error).split())}", where=path) from error
    if not isinstance(raw, dict):
        raise ConfigError("expected a mapping of sections", where=path, value=raw)
    anchor_paths(raw, path.resolve().parent, PATH_KEYS, MODEL_KEYS)
    for override in overrides:
        _apply_override(raw, override)
    try:
        return PipelineConfig.model_validate(raw)
    except ValidationError as error:
        problems = "\n  ".join(_explain(problem) for problem in error.errors(include_url=False))
        raise ConfigError(f"\n  {problems}", where=path, remedy="`rlhf pipeline --help` lists the sections") from error


def field_names(keys: Iterable[str | int]) -> list[str]:
    """Return the names allowed at a dotted place of the configuration; numbers are places in lists, kinds choose one."""
    sections: list[type[BaseModel]] = [PipelineConfig]
    for key in keys:
        if isinstance(key, str):
            of_kind = [s for s in sections if "kind" in s.model_fields and s.model_fields["kind"].default == key]
            fields = [s.model_fields[key] for s in sections if key in s.model_fields]
            sections = of_kind or [found for field in fields for found in _sections_in(field.annotation)]
    return list(dict.fromkeys(name for section in sections for name in section.model_fields))


def _sections_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in getattr(annotation, "__args__", ()) for found in _sections_in(part)]


def _apply_override(raw: dict[str, Any], override: str) -> None:
    name, sign, value = override.partition("=")
    if not sign or not name:
        raise ConfigError(
            "expected key=value", where="--set", value=override, remedy="For example --set ppo.kl_coef=0.1"
        )
    *parents, key = name.split(".")
    section = raw
    for parent in parents:
        section = section.setdefault(parent, {})
        if not isinstance(section, dict):
            raise ConfigError(f"{parent} is not a section", where="--set", value=override)
    try:
        section[key] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError("the value is not YAML", where="--set", value=override) from error


def _explain(problem: Any) -> str:
    place = [p for p in problem["loc"] if isinstance(p, str | int)]
    name = ".".join(str(p) for p in place)
    if problem["type"] == "extra_forbidden":
        allowed = field_names(place[:-1])
        near = difflib.get_close_matches(str(place[-1]), allowed, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(allowed)}"
        return f"{name}: unknown key; {hint}"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing":
        return f"{name}: missing"
    return f"{name}: {message} (found {shorten(problem['input'])})" if name else message
