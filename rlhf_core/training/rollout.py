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
from rlhf_core.ops.masking import spread
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

    A row of `ids` is a prompt, its response right behind it, and all padding on the left; `counts` are the response tokens
    in it. `prefix` is how many tokens all prompts begin with that are run once for all. `below` are the activations under
    the first adapter, which every later pass starts from; None where all layers learn.
    """

    ids: Int[Tensor, "batch time"]
    mask: Bool[Tensor, "batch time"]
    counts: Bool[Tensor, "batch time"]
    responses: Int[Tensor, "batch response"]
    response_mask: Bool[Tensor, "batch response"]
    finished: Bool[Tensor, "batch"]
    scores: Float[Tensor, "batch"]
    logprobs: Float[Tensor, "batch response"]
    reference: Float[Tensor, "batch response"]
    values: Float[Tensor, "batch response"]
    entropy: Float[Tensor, "batch response"]
    prefix: int = 0
    below: Float[Tensor, "batch time width"] | None = None

    @property
    def tokens(self) -> Int[Tensor, "tokens"]:
        """The response tokens that count, in reading order."""
        return self.ids[self.counts]

    def fill(self, name: str, index: Tensor, values: Float[Tensor, "tokens"]) -> None:
        """Set column `name` of some rows: one value for each of their response tokens."""
        getattr(self, name)[index] = spread(values, self.response_mask[index])

    def rows(self, index: Tensor) -> Rollout:
        """Return some rows of the batch, without the columns that are padding in all of them."""
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        part: dict[str, Any] = {
            name: column[index] if isinstance(column, Tensor) else column for name, column in columns.items()
        }
        width = int(part["response_mask"].sum(1).max())
        for name in ("responses", "response_mask", "logprobs", "reference", "values", "entropy"):
            part[name] = part[name][:, :width]
        time = int(part["mask"].sum(1).max())
        for name in ("ids", "mask", "counts", "below"):
            part[name] = None if part[name] is None else part[name][:, -time:]
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
        policy.sampler(lm), [e.ids for e in episodes], config, draw_uniform(len(episodes), config, generator),
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
        rollout = replace(rollout, below=rollout.ids.new_zeros(*rollout.ids.shape, policy.width, dtype=policy.dtype))
    for rows in by_length(rollout, config.micro_batch_size):
        _judge_rows(policy, value_model, rollout, rows, config)
    return rollout


def unjudged(policy: Policy, episodes: Sequence[Episode], sampled: Sampled, scores: Tensor) -> Rollout:
    """Return the rollout of sampled responses with zeros where models have a say."""
    pad, eos = policy.tokenizer.pad_token_id, policy.tokenizer.eos_token_id
    responses, real = pad_rows(sampled.responses, pad, left=False)
    counted = real & response_mask(responses, eos)
    finished = ends_with_eos(responses.masked_fill(~counted, pad), eos)
    ids, mask, counts = assemble([e.ids for e in episodes], responses, counted, pad)
    made = (x.to(policy.device) for x in (ids, mask, counts, responses, counted, finished, scores))
    judged = ("logprobs", "reference", "values", "entropy")
    zeros = {name: torch.zeros(responses.shape, device=policy.device) for name in judged}
    return Rollout(*made, **zeros, prefix=policy.common_prefix([e.ids for e in episodes]))


def by_length(rollout: Rollout, size: int) -> tuple[Tensor, ...]:
    """Return row indices in groups of `size` that are alike in length, so that little padding is computed."""
    return rollout.mask.sum(1).argsort(stable=True).split(size)


@torch.no_grad()
def _judge_rows(policy: Policy, value_model: ValueModel, rollout: Rollout, rows: Tensor, config: PPOConfig) -> None:
    """Fill in what the models say of some rows; columns that are padding in all of them are not computed."""
    part = rollout.rows(rows)
    given = (part.ids, part.mask, part.counts)
    below = policy.below(part.ids, part.mask, part.prefix)
    logits, hidden = policy.run(*given, below, part.prefix)
    logprobs = token_logprobs(logits, part.tokens, config.temperature)
    rollout.fill("logprobs", rows, logprobs)
    rollout.fill("entropy", rows, token_entropy(logits, config.temperature))
    rollout.fill("values", rows, value_model(*given, hidden, part.prefix))
    del logits
    if config.runs_reference:
        logits, _ = policy.run(*given, below, part.prefix, reference=True)
        logprobs = token_logprobs(logits, part.tokens, config.temperature)
    rollout.fill("reference", rows, logprobs)
    if below is not None and rollout.below is not None:
        rollout.below[rows, -below.shape[1] :] = below


def assemble(
    prompts: Sequence[list[int]],
    responses: Int[Tensor, "batch response"],
    response_mask: Bool[Tensor, "batch response"],
    pad_id: int,
) -> tuple[Int[Tensor, "batch time"], Bool[Tensor, "batch time"], Bool[Tensor, "batch time"]]:
    """Return (ids, mask, counts): each prompt with its response right behind it, padded on the left only.

    With the responses in columns of their own, a batch would be as wide as the longest prompt and the longest response
    together, though they are seldom of one row.
    """
    kept = [row[count].tolist() for row, count in zip(responses, response_mask, strict=True)]
    ids, mask = pad_rows([p + r for p, r in zip(prompts, kept, strict=True)], pad_id, left=True)
    from_end = torch.arange(ids.shape[1], 0, -1, device=ids.device)
    return ids, mask, from_end <= response_mask.sum(1, keepdim=True)


def minibatches(rollout: Rollout, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield row indices: every sample exactly once, in a fresh permutation."""
    order = torch.randperm(len(rollout.scores), generator=generator)
    yield from order.to(rollout.scores.device).split(size)
