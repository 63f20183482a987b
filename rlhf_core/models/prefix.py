"""Tokens that all rows of a batch begin with (a system prompt, the chat format) are run once, not once a row."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformers.cache_utils import DynamicCache

from rlhf_core.ops.text_masks import position_ids


class LayerCache(DynamicCache):
    """Keys and values of some of a model's layers: those from number `first` on."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self.first = first

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **more: Any) -> Any:
        """Append to layer `layer_idx`, counted as the model counts."""
        return super().update(key_states, value_states, layer_idx - self.first, *args, **more)


def splits_prefixes(causal_lm: Any) -> bool:
    """Whether `run_rows` knows the model: its positions are given, and every layer attends to everything before."""
    return causal_lm.config.model_type == "llama"


def run_rows(
    decoder: Any, tokens: Tensor, mask: Bool[Tensor, "batch time"], prefix: int = 0
) -> Float[Tensor, "batch time width"]:
    """Return the final states of left-padded rows of a language model, their first `prefix` tokens run once for all rows.

    A row's other tokens attend to the prefix through its keys and values, so gradients reach it from every row.

    Args:
        decoder: the transformers model without its output layer.
        tokens: ids (batch, time), or the vectors (batch, time, width) that enter the decoder's first layer.
        mask: True on real tokens; the first row has at least `prefix + 1`.
        prefix: how many real tokens every row begins with that are the same in all. Of a model that `splits_prefixes`.
    """
    name = "inputs_embeds" if tokens.is_floating_point() else "input_ids"
    if not prefix:
        positions = position_ids(mask)
        return decoder(
            **{name: tokens}, attention_mask=mask.long(), position_ids=positions, use_cache=False
        ).last_hidden_state
    cache = LayerCache(decoder.layers[0].self_attn.layer_idx)
    columns = torch.arange(prefix, device=mask.device)
    common = tokens[:1].index_select(1, (~mask[0]).sum() + columns)
    first = decoder(**{name: common}, use_cache=True, past_key_values=cache).last_hidden_state
    cache.batch_repeat_interleave(len(tokens))
    # Without its first tokens a row has as many fewer real ones on the right of its padding.
    seen = torch.cat([mask.new_ones(len(mask), prefix), mask[:, :-prefix]], 1)
    rest = decoder(
        **{name: tokens[:, prefix:]}, attention_mask=seen.long(), position_ids=position_ids(seen)[:, prefix:],
        use_cache=True, past_key_values=cache,
    ).last_hidden_state  # fmt: skip
    is_prefix = mask & (mask.cumsum(1) <= prefix)
    placed = torch.cat([first.new_zeros(len(mask), prefix, first.shape[-1]), rest], 1)
    return placed.masked_scatter(is_prefix.unsqueeze(-1), first.expand(len(mask), -1, -1))
