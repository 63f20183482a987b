"""Sample responses from a causal language model with a key-value cache. Finished sequences leave the batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rlhf_core.models.decoder import decoder_for
from rlhf_core.ops.logprobs import sample_tokens
from rlhf_core.ops.text_masks import common_prefix, pad_rows

KEEP_SHARE = 0.75  # drop finished rows from the cache once fewer than this share of it is alive


@dataclass(frozen=True)
class SamplingConfig:
    """How to sample: softmax temperature, nucleus mass, and the limit in new tokens."""

    max_new_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0


def draw_uniform(rows: int, config: SamplingConfig, generator: torch.Generator) -> Float[Tensor, "rows time"]:
    """Draw the random numbers of a whole rollout, one stream per row, in [0, 1)."""
    return torch.rand(rows, config.max_new_tokens, generator=generator)


def sample_responses(
    model: Any,
    prompts: Sequence[Sequence[int]],
    config: SamplingConfig,
    uniform: Float[Tensor, "rows time"],
    eos_id: int,
    pad_id: int,
) -> list[list[int]]:
    """Return one list of new token ids per prompt, its eos included when it was reached; arguments as in `sample_steps`."""
    responses: list[list[int]] = [[] for _ in prompts]
    for so_far in sample_steps(model, prompts, config, uniform, eos_id, pad_id):
        responses = so_far
    return responses


@torch.no_grad()
def sample_steps(
    model: Any,
    prompts: Sequence[Sequence[int]],
    config: SamplingConfig,
    uniform: Float[Tensor, "rows time"],
    eos_id: int,
    pad_id: int,
) -> Iterator[list[list[int]]]:
    """Yield the responses as they are after each step: the same lists every time, which grow by a token.

    Whoever has seen enough asks for no more; the next step is computed when it is asked for.

    Args:
        model: a transformers causal LM; called with left-padded prompts, then one token a row and step.
        prompts: token ids; no padding.
        uniform: one number in [0, 1) per row and step; see `draw_uniform`.
    """
    device = next(model.parameters()).device
    ids, mask = (x.to(device) for x in pad_rows(prompts, pad_id, left=True))
    decoder = decoder_for(model)
    logits = decoder.prompt(ids, mask, config.max_new_tokens, common_prefix(prompts))
    responses: list[list[int]] = [[] for _ in prompts]
    alive = torch.arange(len(prompts), device=device)
    for step in range(config.max_new_tokens):
        tokens = sample_tokens(logits, config.temperature, config.top_p, uniform[alive.cpu(), step].to(device))
        for row, token in zip(alive.tolist(), tokens.tolist(), strict=True):
            if not responses[row] or responses[row][-1] != eos_id:
                responses[row].append(token)
        yield responses
        going = _going(responses, alive, eos_id)
        if not going.any() or step + 1 == config.max_new_tokens:
            break
        if going.float().mean() < KEEP_SHARE:
            kept = going.nonzero().squeeze(1)
            decoder.keep(kept)
            alive, tokens = alive[kept], tokens[kept]
        logits = decoder.step(tokens)


def _going(responses: list[list[int]], alive: Int[Tensor, "rows"], eos_id: int) -> Bool[Tensor, "rows"]:
    return torch.tensor([responses[row][-1] != eos_id for row in alive.tolist()], device=alive.device)
