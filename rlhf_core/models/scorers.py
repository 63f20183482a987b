"""Rewards by any means: `(prompts, responses) → one number each`, from a function, a classifier's label, or a mixture."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rlhf_core.config.rewards import ClassifierReward
from rlhf_core.errors import ModelError, ScorerError
from rlhf_core.models.reading import pair_inputs, response_inputs, score_by_length
from rlhf_core.models.rewards import RewardEnsemble
from rlhf_core.models.sources import load_classifier, load_tokenizer, resolve
from rlhf_core.ops.ensembles import ensemble_disagreement

Scorer = Callable[[Sequence[str], Sequence[str]], Tensor]


@dataclass(frozen=True)
class Component:
    """One source of a mixture."""

    name: str
    weight: float
    scorer: Scorer


@dataclass(frozen=True)
class Mixture:
    """A scorer: Σ weight·component."""

    components: tuple[Component, ...]

    def __call__(self, prompts: Sequence[str], responses: Sequence[str]) -> Float[Tensor, "batch"]:
        """Return the weighted sum, one number per response.

        Raises:
            ScorerError: a component gave something that is not one finite number per response.
        """
        return self.measure(prompts, responses)[0]

    def measure(
        self, prompts: Sequence[str], responses: Sequence[str]
    ) -> tuple[Float[Tensor, "batch"], dict[str, Float[Tensor, "batch"]]]:
        """Return (the weighted sum, the parts it is made of by name).

        With one component there are no parts. Ensembles add `disagreement`, the standard deviation between members,
        averaged over ensembles.
        """
        parts, spreads = {}, []
        for component in self.components:
            given = component.scorer
            if isinstance(given, RewardEnsemble):
                table = given.member_scores(prompts, responses)
                spreads.append(ensemble_disagreement(table))
                values: Any = given.combined(table)
            else:
                values = given(prompts, responses)
            parts[component.name] = checked_scores(values, len(responses), component.name)
        total = torch.stack([c.weight * parts[c.name] for c in self.components]).sum(0)
        shown = parts if len(parts) > 1 else {}
        return total, shown | ({"disagreement": torch.stack(spreads).mean(0)} if spreads else {})


def score_with_parts(
    scorer: Scorer, prompts: Sequence[str], responses: Sequence[str]
) -> tuple[Float[Tensor, "batch"], dict[str, float]]:
    """Return (scores, the mean of each part of a mixture as `objective/score_<name>`); a plain scorer has no parts."""
    if not isinstance(scorer, Mixture):
        return scorer(prompts, responses), {}
    total, parts = scorer.measure(prompts, responses)
    return total, {f"objective/score_{name}": part.mean().item() for name, part in parts.items()}


def checked_scores(values: Any, count: int, name: str) -> Float[Tensor, "batch"]:
    """Return what a scorer gave as float32, after checking that it is one finite number per response.

    Raises:
        ScorerError: it is not; the message names the scorer.
    """
    remedy = f"Return one finite number for each of the {count} responses, in their order"
    try:
        scores = torch.as_tensor(values).detach().float()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ScorerError("scores are not numbers", where=name, value=values, remedy=remedy) from error
    if scores.shape != (count,):
        raise ScorerError("scores have the wrong shape", where=name, value=list(scores.shape), remedy=remedy)
    if bad := (~scores.isfinite()).nonzero().flatten().tolist():
        raise ScorerError(
            f"{len(bad)} of {count} scores are not finite, the first at {bad[0]}", where=name, remedy=remedy
        )
    return scores


def import_function(place: str) -> Callable[[Sequence[str], Sequence[str]], Any]:
    """Return the function that `package.module:function` names.

    Raises:
        ScorerError: the module cannot be imported, or holds no such function.
    """
    module, _, name = place.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except ImportError as error:
        raise ScorerError(
            f"cannot be imported: {error}", where=place, remedy="Is its folder on PYTHONPATH, or its package installed?"
        ) from error
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise ScorerError(
            "names no function", where=place, remedy="Give package.module:function of (prompts, responses) -> scores"
        )
    return found


class LabelScorer(nn.Module):
    """Scores a text by one label of a sequence classifier: its logit, its probability, or the log of that.

    The probability is a softmax over labels; a sigmoid where the classifier has one label or several may hold at once.
    """

    def __init__(self, config: ClassifierReward) -> None:
        super().__init__()
        self.config, self.place = config, label_place(config)
        self.tokenizer = load_tokenizer(config.model)
        self.tokenizer.truncation_side = "left"
        self.classifier = _trained_classifier(config.model)
        self.classifier.config.pad_token_id = self.tokenizer.pad_token_id
        self.max_length = min(config.max_length, self.tokenizer.model_max_length)
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, prompts: Sequence[str], responses: Sequence[str]) -> Float[Tensor, "batch"]:
        """Return one number per response, in the given order."""
        return score_by_length(self._score, prompts, responses)

    def _score(self, prompts: list[str], responses: list[str]) -> Tensor:
        if self.config.reads == "pair":
            batch = pair_inputs(self.tokenizer, prompts, responses, self.max_length)
        else:
            batch = response_inputs(self.tokenizer, responses, self.max_length)
        device = self.classifier.device
        logits = self.classifier(**{name: column.to(device) for name, column in batch.items()}).logits.float().cpu()
        about = self.classifier.config
        if self.config.output != "logit":
            alone = about.num_labels == 1 or about.problem_type == "multi_label_classification"
            logits = nn.functional.logsigmoid(logits) if alone else logits.log_softmax(-1)
        chosen = logits[:, self.place]
        return chosen.exp() if self.config.output == "probability" else chosen


def label_place(config: ClassifierReward) -> int:
    """Return the output of the classifier that its configuration calls `label`.

    Raises:
        ModelError: it has no such label; the message lists those it has.
    """
    from transformers import AutoConfig

    labels = AutoConfig.from_pretrained(resolve(config.model)).id2label or {}
    for place, label in labels.items():
        if label == config.label:
            return int(place)
    known = ", ".join(labels.values())
    raise ModelError("has no such label", where=config.model, value=config.label, remedy=f"Its labels: {known}")


def _trained_classifier(source: str) -> Any:
    model, about = load_classifier(source)
    if missing := sorted(about["missing_keys"]):
        raise ModelError(
            "is not a trained sequence classifier: weights are missing",
            where=source,
            value=missing,
            remedy="Give a classifier that was saved with its head",
        )
    return model
