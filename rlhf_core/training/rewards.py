"""From the reward sources of a configuration to the scorer that PPO learns from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from rlhf_core.config.rewards import ClassifierReward, LearnedReward, PythonReward, RewardSource, ToxicityReward
from rlhf_core.errors import ModelError, ScorerError
from rlhf_core.evaluation.toxicity import load_scorer
from rlhf_core.models.rewards import RewardEnsemble, load_members
from rlhf_core.models.scorers import (
    Component,
    LabelScorer,
    Mixture,
    Scorer,
    checked_scores,
    import_function,
    label_place,
)


def check_rewards(sources: Sequence[RewardSource], checkpoint: Path | None = None) -> None:
    """Find out before any training whether every source that needs no training can be had.

    Raises:
        ModelError: a classifier lacks its label. ScorerError: no such function, scorer or category.
    """
    for source in sources:
        if isinstance(source, ClassifierReward):
            label_place(source)
        elif not isinstance(source, LearnedReward):
            build_scorer(source, Path(), checkpoint)


def build_rewards(
    sources: Sequence[RewardSource], own: Path, checkpoint: Path | None = None, device: torch.device | None = None
) -> Mixture:
    """Return the weighted mixture of all sources; `own` is the folder of the run's reward model.

    `checkpoint` is the local Detoxify checkpoint, for toxicity sources. Models of ours compute on `device`.

    Raises:
        ModelError, ScorerError: a source cannot be had or does not fit.
    """
    return Mixture(tuple(Component(s.name, s.weight, build_scorer(s, own, checkpoint, device)) for s in sources))


def build_audits(
    sources: Sequence[RewardSource], own: Path, checkpoint: Path | None = None, device: torch.device | None = None
) -> dict[str, Scorer]:
    """Return the scorers of sources that are only watched, by name; see `build_rewards`."""
    return {source.name: build_scorer(source, own, checkpoint, device) for source in sources}


def build_scorer(
    source: RewardSource, own: Path, checkpoint: Path | None = None, device: torch.device | None = None
) -> Scorer:
    """Return the scorer of one source, without its weight; see `build_rewards`."""
    if isinstance(source, ClassifierReward):
        return LabelScorer(source).to(device)
    if isinstance(source, PythonReward):
        function = import_function(source.function)
        return lambda prompts, responses: checked_scores(function(prompts, responses), len(responses), source.function)
    if isinstance(source, ToxicityReward):
        return _toxicity(source, checkpoint)
    assert isinstance(source, LearnedReward)
    return _learned(source, own, device)


def _learned(source: LearnedReward, own: Path, device: torch.device | None) -> Scorer:
    members = [member.to(device) for member in load_members(source.models or [own])]
    if members[0].categories and not source.category:
        heads = " or ".join(members[0].categories)
        raise ModelError("has a score head for each category", where=source.name, remedy=f"Name one: category: {heads}")
    if len(members) > 1:
        return RewardEnsemble(members, source.combine, source.penalty).of_category(source.category)
    if source.combine != "mean":
        raise ModelError(
            f"{source.combine} combines several reward models, and this is one",
            where=source.name,
            value=source.models,
            remedy="Name more folders in `models`, or leave out `combine`",
        )
    return members[0].of_category(source.category).score


def _toxicity(source: ToxicityReward, checkpoint: Path | None) -> Scorer:
    scorer = load_scorer(source.scorer, checkpoint if source.scorer == "detoxify" else None)
    category = source.category or scorer.categories[0]
    if category not in scorer.categories:
        known = ", ".join(scorer.categories)
        raise ScorerError("has no such category", where=scorer.name, value=category, remedy=f"Its categories: {known}")

    def score(prompts: Sequence[str], responses: Sequence[str]) -> Tensor:
        return torch.tensor(scorer.score(responses)[category])

    return score
