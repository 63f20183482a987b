"""What PPO may be rewarded for: a list of weighted sources, each of one kind. The score is Σ weight·source.

The same kinds serve as audits: measured beside the score, and never optimised.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from rlhf_core.config.section import Section

Combination = Literal["mean", "worst", "penalised"]


def _not_reserved(name: str) -> str:
    if name == "disagreement":
        raise ValueError("is taken by the spread between the members of an ensemble")
    return name


Name = Annotated[
    str,
    AfterValidator(_not_reserved),
    Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="logged as objective/score_<name>, or eval/audit_<name>"),
]


class RewardSource(Section):
    """What all kinds share."""

    name: Name
    weight: float = Field(default=1.0, description="negative to be avoided")


class LearnedReward(RewardSource):
    """A reward model of ours; several, or one folder with several members, are an ensemble (Coste et al. 2023)."""

    kind: Literal["learned"] = "learned"
    name: Name = "reward_model"
    models: tuple[str, ...] = Field(default=(), description="reward-model folders; none: the run's own")
    category: str = Field(
        default="",
        description="of models trained with reward.by_category: the one whose head scores",
    )
    combine: Combination = Field(default="mean", description="of an ensemble: mean, worst, or mean − penalty·variance")
    penalty: float = Field(default=0.1, ge=0, description="price of one unit of variance between members")


class ClassifierReward(RewardSource):
    """One label of a sequence classifier, called by its name."""

    kind: Literal["classifier"] = "classifier"
    model: str = Field(description="folder, packaged:NAME or hub id of a sequence classifier")
    label: str
    output: Literal["logit", "probability", "logprob"] = "logit"
    reads: Literal["response", "pair"] = Field(default="response", description="pair: prompt and response")
    max_length: int = Field(default=256, ge=16)


class PythonReward(RewardSource):
    """A function `(prompts, responses) -> one number each`."""

    kind: Literal["python"] = "python"
    function: str = Field(pattern=r"^[\w.]+:[\w.]+$", description="package.module:function")


class ToxicityReward(RewardSource):
    """The probability that a toxicity scorer gives to one of its categories; weigh it negatively to avoid it."""

    kind: Literal["toxicity"] = "toxicity"
    scorer: Literal["profanity-check", "detoxify"] = "profanity-check"
    category: str | None = Field(default=None, description="null takes the scorer's first")


AnyReward = Annotated[LearnedReward | ClassifierReward | PythonReward | ToxicityReward, Field(discriminator="kind")]
