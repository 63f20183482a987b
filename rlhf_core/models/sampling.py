"""Sample responses from a causal language model with a key-value cache. Finished sequences leave the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rlhf_core.ops.logprobs import sample_tokens
from rlhf_core.ops.text_masks import pad_rows, position_ids

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


@torch.no_grad()
def sample_responses(
    model: Any,
    prompts: Sequence[Sequence[int]],
    config: SamplingConfig,
    uniform: Float[Tensor, "rows time"],
    eos_id: int,
    pad_id: int,
    on_step: Callable[[int], None] | None = None,
) -> list[list[int]]:
    """Return one list of new token ids per prompt, its eos included when it was reached.

    Args:
        model: a transformers causal LM; called with left-padded prompts, then one token a row and step.
        prompts: token ids; no padding.
        uniform: one number in [0, 1) per row and step; see `draw_uniform`.
        on_step: called after each step with its index.
    """
    device = next(model.parameters()).device
    ids, mask = (x.to(device) for x in pad_rows(prompts, pad_id, left=True))
    positions = position_ids(mask)
    responses: list[list[int]] = [[] for _ in prompts]
    alive = torch.arange(len(prompts), device=device)
    cache = None
    for step in range(config.max_new_tokens):
        out = model(
            input_ids=ids, attention_mask=mask.long(), position_ids=positions, past_key_values=cache, use_cache=True,
            logits_to_keep=1,
        )  # fmt: skip
        cache = out.past_key_values
        tokens = sample_tokens(
            out.logits[:, -1], config.temperature, config.top_p, uniform[alive.cpu(), step].to(device)
        )
        for row, token in zip(alive.tolist(), tokens.tolist(), strict=True):
            if not responses[row] or responses[row][-1] != eos_id:
                responses[row].append(token)
        if on_step:
            on_step(step)
        going = _going(responses, alive, eos_id)
        if not going.any():
            break
        if going.float().mean() < KEEP_SHARE:
            keep = going.nonzero().squeeze(1)
            cache.batch_select_indices(keep)
            alive, mask, positions, tokens = alive[keep], mask[keep], positions[keep], tokens[keep]
        ids = tokens.unsqueeze(1)
        mask = torch.cat([mask, torch.ones_like(ids, dtype=torch.bool)], 1)
        positions = positions[:, -1:] + 1
    return responses


def _going(responses: list[list[int]], alive: Int[Tensor, "rows"], eos_id: int) -> Bool[Tensor, "rows"]:
    return torch.tensor([responses[row][-1] != eos_id for row in alive.tolist()], device=alive.device)
