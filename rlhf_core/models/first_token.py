"""A classifier that reads its text's first token needs of its last layer that token alone: a sixth less work in MiniLM.

Keys and values still come from all tokens; query, attention, feed-forward and their gradients are those of one. Nothing is
approximated: what is left out has no way to the score.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import BertForSequenceClassification

from rlhf_core.models.transformer_layers import transformer_layers

MASKED_BY_PAIRS = ("by_products", "sdpa", "eager")  # attention whose mask is (rows, 1, time, seen)


class _Given:
    """What takes the place of a layer's cache: the keys and values of the whole text."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self.keys, self.values = keys, values

    def update(self, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Return them; the first token's own are among them."""
        return self.keys, self.values


def read_first_token(classifier: Any) -> Any:
    """Let the last layer of a BERT classifier compute its first token alone; return it. Others are left as they are."""
    if isinstance(classifier, BertForSequenceClassification) and not classifier.config.is_decoder:
        transformer_layers(classifier)[-1].register_forward_pre_hook(_first_token, with_kwargs=True)
    return classifier


def _first_token(layer: Any, args: tuple[Any, ...], given: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Give the layer the first token's state instead of all tokens', and a cache with keys and values of all."""
    attention = layer.attention.self
    if attention.config._attn_implementation not in MASKED_BY_PAIRS:
        return args, given
    states, mask, *more = args
    heads = (*states.shape[:2], attention.num_attention_heads, attention.attention_head_size)
    keys, values = (part(states).view(heads).transpose(1, 2) for part in (attention.key, attention.value))
    mask = None if mask is None else mask[:, :, :1]
    return (states[:, :1], mask, *more), given | {"past_key_values": _Given(keys, values)}
