"""The configuration of a whole pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from rlhf_core.config.files import read_config
from rlhf_core.config.ppo import PPOConfig
from rlhf_core.config.rewards import AnyReward, ClassifierReward, LearnedReward
from rlhf_core.config.section import RunConfig, Section
from rlhf_core.config.training import DataConfig, PolicyConfig, RewardConfig, SFTConfig
from rlhf_core.data.contenders import BestOf, parse_best_of


class BestOfConfig(Section):
    """A baseline that trains nothing: of n answers the reward model picks the best."""

    n: int = Field(ge=2, description="answers per prompt")
    contender: Literal["base", "sft", "tuned"] = Field(default="sft", description="who writes them")

    @property
    def name(self) -> str:
        """The name of the contender this makes."""
        return BestOf(self.n, self.contender).name


def _not_the_runs_own(name: str) -> str:
    if name in ("sft", "tuned") or parse_best_of(name):
        raise ValueError(f"{name} is a model of the run itself; give it another name")
    return name


ContenderName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$"), AfterValidator(_not_the_runs_own)]


class GenerateConfig(Section):
    """Completions of every contender to the held-out prompts, for people and scorers."""

    contenders: tuple[Literal["base", "sft", "tuned"], ...] = Field(
        default=("base", "sft", "tuned"), description="models that answer the held-out prompts"
    )
    best_of: BestOfConfig | None = Field(default=None, description="one more contender, best-of-n; null: none")
    models: dict[ContenderName, str] = Field(
        default={},
        exclude_if=lambda named: not named,
        description="further contenders, a model source by name, such as round-1, the round before; base may be named "
        "where policy.model is no longer the model it all began with",
    )
    temperature: float = Field(default=0.7, gt=0, description="of sampling the answers that are judged")
    top_p: float = Field(default=1.0, gt=0, le=1, description="share of the probability that is sampled from")
    max_new_tokens: int = Field(default=64, ge=1, description="longest answer")
    batch_size: int = Field(default=96, ge=1, description="answers at once")

    @property
    def names(self) -> list[str]:
        """All contenders, in the order in which they answer."""
        named = dict.fromkeys((*self.contenders, *self.models))
        return [*named, *([self.best_of.name] if self.best_of else [])]


class EvaluateConfig(Section):
    """Scorers and intervals of the evaluation."""

    toxicity: tuple[Literal["profanity-check", "detoxify"], ...] = Field(
        default=("profanity-check",), description="scorers of toxicity"
    )
    detoxify_checkpoint: Path | None = Field(
        default=None, description="a local Detoxify checkpoint; only files you trust"
    )
    bootstrap: int = Field(default=2000, ge=100, description="resamples behind each interval")


class PipelineConfig(RunConfig):
    """A whole pipeline: sft → reward → ppo → generate → evaluate."""

    path_keys = (
        ("run_root",),
        ("data", "prompts"),
        ("data", "demonstrations"),
        ("data", "rankings"),
        ("data", "refusal_prompts"),
        ("evaluate", "detoxify_checkpoint"),
    )
    model_keys = (
        ("policy", "model"),
        ("reward", "model"),
        ("generate", "models", "*"),
        ("ppo", "rewards", "*", "model"),
        ("ppo", "rewards", "*", "models"),
        ("ppo", "audits", "*", "model"),
        ("ppo", "audits", "*", "models"),
    )

    data: DataConfig
    policy: PolicyConfig = PolicyConfig()
    sft: SFTConfig | None = Field(default=SFTConfig(), description="null: PPO starts from policy.model")
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
        best = self.generate.best_of
        if self.sft is None and "sft" in self.generate.contenders:
            raise ValueError("generate.contenders: sft would be base, for sft is null; leave it out")
        if self.sft is None and best and best.contender == "sft":
            raise ValueError("generate.best_of: no model was fine-tuned, for sft is null; set contender to base")
        return self

    @property
    def models(self) -> list[str]:
        """All model sources this configuration uses."""
        rewards = (*self.ppo.rewards, *self.ppo.audits)
        learned = {folder for source in rewards if isinstance(source, LearnedReward) for folder in source.models}
        classifiers = {source.model for source in rewards if isinstance(source, ClassifierReward)}
        return sorted({self.policy.model, self.reward.model, *self.generate.models.values()} | learned | classifiers)

    @property
    def optimises_own_reward_model(self) -> bool:
        """Whether PPO is rewarded with the score of the run's own reward model."""
        return bool(_own(self.ppo.rewards))

    @property
    def own_category(self) -> str:
        """The category whose head of the run's own reward model PPO is rewarded by; none where there are several, or none."""
        names = {source.category for source in _own(self.ppo.rewards)}
        return names.pop() if len(names) == 1 else ""

    @property
    def packaged_models(self) -> list[str]:
        """The names of the packaged models this configuration uses."""
        return [s.removeprefix("packaged:") for s in self.models if s.startswith("packaged:")]

    @model_validator(mode="after")
    def _asks_for_what_is_trained(self) -> PipelineConfig:
        for place, sources in (("rewards", self.ppo.rewards), ("audits", self.ppo.audits)):
            for source in _own(sources):
                if source.combine != "mean" and self.reward.members == 1:
                    raise ValueError(
                        f"ppo.{place}: {source.name} combines several models; reward.members must be 2 or more"
                    )
                if self.reward.by_category and not source.category:
                    raise ValueError(f"ppo.{place}: {source.name} must name the category whose head scores")
                if source.category and not self.reward.by_category:
                    raise ValueError(
                        f"ppo.{place}: {source.name} is of category {source.category}; reward.by_category must be true"
                    )
        return self


def _own(sources: Sequence[AnyReward]) -> list[LearnedReward]:
    """Those of the sources that are the run's own reward model."""
    return [s for s in sources if isinstance(s, LearnedReward) and not s.models]


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> PipelineConfig:
    """Read the configuration of a pipeline, apply `key.sub=value` overrides, and validate.

    Raises:
        ConfigError: file missing, not YAML, unknown key (the nearest one is suggested), or a value out of range.
    """
    return read_config(PipelineConfig, path, overrides)
