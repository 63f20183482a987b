"""Reward-model training on rankings: all pairs of a ranked prompt in one forward pass (InstructGPT), held-out report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from rlhf_core.config import RewardConfig
from rlhf_core.data.records import Ranking
from rlhf_core.errors import DataError
from rlhf_core.evaluation.reward_eval import calibration, kendall_tau
from rlhf_core.models.device import choose_dtype, products_in
from rlhf_core.models.policy import fingerprint_of
from rlhf_core.models.rewards import RewardModel, new_reward_model
from rlhf_core.models.transformer_layers import parameters_below
from rlhf_core.ops.losses import kwise_loss
from rlhf_core.training.stage import Stage
from rlhf_core.training.supervised import Schedule, batch_at, fit, steps_per_epoch

EVAL_PROMPTS = 16


def train_members(
    config: RewardConfig,
    train: Sequence[Ranking],
    held_out: Sequence[Ranking],
    stage: Stage,
    device: torch.device | None = None,
) -> list[RewardModel]:
    """Train `config.members` reward models that differ in what they draw: head, adapters, and order of the data.

    With `config.by_category` each has a head for every category of the training rankings. One alone trains in the stage itself.
    Of several the first logs there, the others in `member-1`, `member-2`, …; a member that was complete when training stopped
    is read from its checkpoint.
    """
    models, categories = [], _categories(train) if config.by_category else ()
    for number in range(config.members):
        own = member_stage(stage, number, config.members)
        model = new_reward_model(config, own.generator("head"), categories).to(device)
        train_reward(model, train, held_out, config, own, fingerprint_of(model.classifier))
        models.append(model)
    return models


def _categories(train: Sequence[Ranking]) -> tuple[str, ...]:
    names = sorted({r.category for r in train} - {""})
    if len(names) < 2:
        raise DataError(
            "rankings of one category need no heads by category", where="reward.by_category", value=names,
            remedy="Give rankings a `category`, or set reward.by_category=false",
        )  # fmt: skip
    return tuple(names)


def member_stage(stage: Stage, number: int, members: int) -> Stage:
    """Return the stage in which one member of an ensemble trains: its random streams, its folder, its share of progress."""
    if members == 1:
        return stage

    def report(step: int, total: int, message: str) -> None:
        stage.report(number * total + step, members * total, f"model {number + 1} of {members}: {message}")

    if number == 0:
        return replace(stage, report=report)
    name = f"member-{number}"
    return replace(stage, name=f"{stage.name}/{name}", directory=stage.directory.inner(name), report=report)


def train_reward(
    model: RewardModel,
    train: Sequence[Ranking],
    held_out: Sequence[Ranking],
    config: RewardConfig,
    stage: Stage,
    identity: str,
) -> None:
    """Train `model` on ranked prompts and leave it at its best held-out loss; see `fit`.

    `identity` is the fingerprint of the pretrained backbone.
    Forward passes of training multiply in `config.dtype`; weights, scores, loss and held-out numbers are float32.
    Logs train/loss, train/accuracy, tokens/batch, optim/*, and what `evaluate_ranking_loss` measures.
    """
    _choose_parameters(model, config)

    def learn(step: int) -> dict[str, float]:
        return accumulate(model, batch_at(train, step, config.batch_size, stage), config)

    schedule = Schedule(config.epochs * steps_per_epoch(train, config.batch_size), config.eval_every)
    fit(model, learn, lambda: evaluate_ranking_loss(model, held_out, config), schedule, config.optim, stage, identity)


def held_out_scores(model: RewardModel, held_out: Sequence[Ranking]) -> list[list[float]]:
    """Return scores of every completion of every ranking; raw ones of a model that is not normalised yet."""
    return [model.score(*_answers([r])).tolist() for r in held_out]


def accumulate(model: RewardModel, rankings: Sequence[Ranking], config: RewardConfig) -> dict[str, float]:
    """Backpropagate the loss of one batch; return it with the share of its pairs that are in people's order."""
    with products_in(choose_dtype(config.dtype, model.device), model.device):
        loss, accuracy = ranking_loss(model, rankings, config)
    loss.backward()
    tokens = model.tokenize(*_answers(rankings)[:2])["attention_mask"].sum().item()
    return {"train/loss": loss.item(), "train/accuracy": accuracy, "tokens/batch": tokens}


def ranking_loss(model: RewardModel, rankings: Sequence[Ranking], config: RewardConfig) -> tuple[Tensor, float]:
    """Return (weighted K-wise loss, share of pairs ordered as people did) of ranked prompts, every completion scored once."""
    chosen, rejected, owner = pair_indices(rankings)
    scores = model.raw_scores(*_answers(rankings))
    chosen, rejected, owner = (index.to(scores.device) for index in (chosen, rejected, owner))
    loss = kwise_loss(
        scores, chosen, rejected, owner, config.margin, config.label_smoothing, config.centering,
        torch.tensor([r.weight for r in rankings]).to(scores.device),
    )  # fmt: skip
    return loss, (scores[chosen] > scores[rejected]).float().mean().item()


def _answers(rankings: Sequence[Ranking]) -> tuple[list[str], list[str], list[str]]:
    """Return (prompts, texts, categories) of all completions of all rankings."""
    rows = [(r.transcript, c.text, r.category) for r in rankings for c in r.completions]
    return [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]


def pair_indices(rankings: Sequence[Ranking]) -> tuple[Tensor, Tensor, Tensor]:
    """Return (chosen, rejected, prompt) indices of all untied pairs, counting completions through all rankings."""
    rows: list[tuple[int, int, int]] = []
    start = 0
    for n, ranking in enumerate(rankings):
        place = {c.id: start + k for k, c in enumerate(ranking.completions)}
        rank = {i: g for g, group in enumerate(ranking.ranking) for i in group}
        ids = [c.id for c in ranking.completions]
        rows += [(place[a], place[b], n) for a in ids for b in ids if rank[a] < rank[b]]
        start += len(ids)
    chosen, rejected, owner = torch.tensor(rows, dtype=torch.long).reshape(-1, 3).unbind(1)
    return chosen, rejected, owner


@torch.no_grad()
def evaluate_ranking_loss(model: RewardModel, held_out: Sequence[Ranking], config: RewardConfig) -> dict[str, float]:
    """Return held-out loss (averaged over prompts with an untied pair), pair accuracy, mean margin, calibration, Kendall's τ.

    Without an untied pair all of them are NaN.
    """
    loss, ranked, margins, by_prompt = 0.0, 0, [], []
    for start in range(0, len(held_out), EVAL_PROMPTS):
        part = held_out[start : start + EVAL_PROMPTS]
        scores = model.raw_scores(*_answers(part)).cpu()
        chosen, rejected, owner = pair_indices(part)
        count = len(owner.unique())
        loss += kwise_loss(scores, chosen, rejected, owner, config.margin, config.label_smoothing).item() * count
        ranked += count
        margins.append(scores[chosen] - scores[rejected])
        by_prompt += [mine.tolist() for mine in scores.split([len(r.completions) for r in part])]
    margin = torch.cat(margins)
    tau = kendall_tau(held_out, by_prompt)
    return {
        "eval/loss": loss / ranked if ranked else math.nan,
        "eval/accuracy": (margin > 0).float().mean().item(),
        "eval/margin": margin.mean().item(),
        "eval/calibration_error": calibration(margin.double().numpy())[0] if len(margin) else math.nan,
        "eval/kendall_tau": math.nan if tau is None else tau,
    }


def _choose_parameters(model: RewardModel, config: RewardConfig) -> None:
    """Let adapters and head learn, or the upper layers, or all weights."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not config.lora or "lora_" in name or "modules_to_save" in name)
    for parameter in parameters_below(model.classifier, config.layers) if config.layers else ():
        parameter.requires_grad_(False)
