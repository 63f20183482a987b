"""One PPO rollout: sample responses, score them, run policy, reference and value model over the sampled ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rlhf_core.config import PPOConfig
from rlhf_core.models.policy import Policy, ValueModel
from rlhf_core.models.sampling import SamplingConfig, draw_uniform, sample_responses
from rlhf_core.ops.logprobs import token_entropy, token_logprobs
from rlhf_core.ops.text_masks import ends_with_eos, pad_rows, response_mask


@dataclass(frozen=True)
class Episode:
    """One prompt as text and as token ids."""

    id: str
    prompt: str
    ids: list[int]


@dataclass(frozen=True)
class Rollout:
    """A batch of prompts with sampled responses, and what every model said of them. All masks: True counts.

    `below` are the activations under the first adapter, which every later pass starts from; None where all layers learn.
    """

    ids: Int[Tensor, "batch time"]
    mask: Bool[Tensor, "batch time"]
    responses: Int[Tensor, "batch response"]
    response_mask: Bool[Tensor, "batch response"]
    finished: Bool[Tensor, "batch"]
    scores: Float[Tensor, "batch"]
    logprobs: Float[Tensor, "batch response"]
    reference: Float[Tensor, "batch response"]
    values: Float[Tensor, "batch response"]
    entropy: Float[Tensor, "batch response"]
    below: Float[Tensor, "batch time width"] | None = None

    def rows(self, index: Tensor) -> Rollout:
        """Return some rows of the batch, without the columns that are padding in all of them."""
        part: dict[str, Any] = {
            f.name: None if (column := getattr(self, f.name)) is None else column[index] for f in fields(self)
        }
        width = int(part["response_mask"].sum(1).max())
        prompt_width = part["ids"].shape[1] - part["responses"].shape[1]
        lead = int(part["mask"][:, :prompt_width].any(0).long().argmax())
        for name in ("responses", "response_mask", "logprobs", "reference", "values", "entropy"):
            part[name] = part[name][:, :width]
        for name in ("ids", "mask", "below"):
            part[name] = None if part[name] is None else part[name][:, lead : prompt_width + width]
        return Rollout(**part)


@dataclass(frozen=True)
class Sampled:
    """Responses as ids and as text, before any model has judged them."""

    responses: list[list[int]]
    texts: list[str]


def sample(
    policy: Policy,
    episodes: Sequence[Episode],
    config: SamplingConfig,
    generator: torch.Generator,
    lm: object | None = None,
) -> Sampled:
    """Sample one response per prompt from the policy, or from another `lm` with its tokenizer (the reference)."""
    tokenizer = policy.tokenizer
    responses = sample_responses(
        lm or policy.lm, [e.ids for e in episodes], config, draw_uniform(len(episodes), config, generator),
        tokenizer.eos_token_id, tokenizer.pad_token_id,
    )  # fmt: skip
    return Sampled(responses, [policy.decode_response(r) for r in responses])


def judge(
    policy: Policy,
    value_model: ValueModel,
    episodes: Sequence[Episode],
    sampled: Sampled,
    scores: Tensor,
    config: PPOConfig,
) -> Rollout:
    """Run policy, reference and value model over the sampled ids, in the same forward passes as the update will use.

    With β = 0 the reference is not run and counts as equal to the policy.
    """
    rollout = unjudged(policy, episodes, sampled, scores)
    if policy.trunk:
        rollout = replace(rollout, below=torch.zeros(*rollout.ids.shape, policy.width, dtype=policy.dtype))
    for rows in by_length(rollout, config.micro_batch_size):
        _judge_rows(policy, value_model, rollout, rows, config)
    return rollout


def unjudged(policy: Policy, episodes: Sequence[Episode], sampled: Sampled, scores: Tensor) -> Rollout:
    """Return the rollout of sampled responses with zeros where models have a say."""
    ids, mask, responses, counted = assemble(policy, episodes, sampled.responses)
    ends = responses.masked_fill(~counted, policy.tokenizer.pad_token_id)
    finished = ends_with_eos(ends, policy.tokenizer.eos_token_id)
    zeros = {name: torch.zeros(responses.shape) for name in ("logprobs", "reference", "values", "entropy")}
    return Rollout(ids, mask, responses, counted, finished, scores, **zeros)


def by_length(rollout: Rollout, size: int) -> tuple[Tensor, ...]:
    """Return row indices in groups of `size` that are alike in length, so that little padding is computed."""
    return rollout.mask.sum(1).argsort(stable=True).split(size)


@torch.no_grad()
def _judge_rows(policy: Policy, value_model: ValueModel, rollout: Rollout, rows: Tensor, config: PPOConfig) -> None:
    """Fill in what the models say of some rows; columns that are padding in all of them are not computed."""
    part = rollout.rows(rows)
    width, keep = part.responses.shape[1], part.response_mask
    below = policy.below(part.ids, part.mask)
    logits, hidden = policy.run(part.ids, part.mask, width, below)
    logprobs = token_logprobs(logits, part.responses, config.temperature)
    rollout.logprobs[rows, :width] = logprobs.where(keep, 0.0)
    rollout.entropy[rows, :width] = token_entropy(logits, config.temperature).where(keep, 0.0)
    rollout.values[rows, :width] = value_model(part.ids, part.mask, hidden).where(keep, 0.0)
    del logits
    if config.kl_coef > 0 or config.kl_target:
        logits, _ = policy.run(part.ids, part.mask, width, below, reference=True)
        logprobs = token_logprobs(logits, part.responses, config.temperature)
    rollout.reference[rows, :width] = logprobs.where(keep, 0.0)
    if below is not None and rollout.below is not None:
        end = rollout.ids.shape[1] - rollout.responses.shape[1] + width
        rollout.below[rows, end - below.shape[1] : end] = below


def assemble(
    policy: Policy, episodes: Sequence[Episode], responses: Sequence[Sequence[int]]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return (ids, mask, responses, response_mask): prompts padded on the left, responses on the right, side by side."""
    pad = policy.tokenizer.pad_token_id
    prompt_ids, prompt_mask = pad_rows([e.ids for e in episodes], pad, left=True)
    response_ids, real = pad_rows(responses, pad, left=False)
    counted = real & response_mask(response_ids, policy.tokenizer.eos_token_id)
    return (
        torch.cat([prompt_ids, response_ids], 1),
        torch.cat([prompt_mask, counted], 1),
        response_ids,
        counted,
    )


def minibatches(rollout: Rollout, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield row indices: every sample exactly once, in a fresh permutation."""
    yield from torch.randperm(len(rollout.scores), generator=generator).split(size)
