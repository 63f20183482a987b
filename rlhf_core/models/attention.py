"""Attention as two batched products, for bfloat16 on a processor: several times as fast as torch's fused kernel there.

The fused kernel's point is that it never holds all scores. Where they are few that saves nothing (figures: docs/LOG.md).
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import AttentionInterface

NAME = "by_products"
MOST_SCORES = 2**24  # of one layer: 32 MiB in bfloat16, kept for the backward pass once as scores and once as weights


def use_products(model: Any) -> Any:
    """Let a transformers model that would take torch's fused attention take this one; return it."""
    if model.config._attn_implementation == "sdpa":
        model.set_attn_implementation(NAME)
    return model


def attend(
    module: Any,
    query: Float[Tensor, "rows heads time size"],
    key: Float[Tensor, "rows key_heads seen size"],
    value: Float[Tensor, "rows key_heads seen size"],
    mask: Bool[Tensor, "rows 1 time seen"] | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **settings: Any,
) -> tuple[Float[Tensor, "rows time heads size"], None]:
    """Return softmax(query·key·scaling)·value where `mask` is True; what an attention function of transformers returns.

    Without a mask a token looks back only, in models that do. Anything but bfloat16 on a processor, more than `MOST_SCORES`
    scores, dropout, and what some models add to scores or cache is left to torch's kernel.
    """
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else query.dtype
    scores = query.shape[0] * query.shape[1] * query.shape[2] * key.shape[2]
    plain = not dropout and all(settings.get(name) is None for name in ("position_bias", "cache"))
    if query.device.type != "cpu" or dtype != torch.bfloat16 or scores > MOST_SCORES or not plain:
        given = {"dropout": dropout, "scaling": scaling, "is_causal": is_causal, **settings}
        return sdpa_attention_forward(module, query, key, value, mask, **given)
    looks_back = getattr(module, "is_causal", True) if is_causal is None else is_causal
    if mask is None and looks_back and query.shape[2] > 1:
        mask = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool).tril()
    with torch.autocast("cpu", enabled=False):
        seen = grouped_attention(
            query.to(dtype), key.to(dtype), value.to(dtype), mask, scaling or query.shape[-1] ** -0.5
        )
    return seen.transpose(1, 2).contiguous(), None


def grouped_attention(
    query: Float[Tensor, "rows heads time size"],
    key: Float[Tensor, "rows key_heads seen size"],
    value: Float[Tensor, "rows key_heads seen size"],
    mask: Bool[Tensor, "rows 1 time seen"] | None,
    scaling: float,
) -> Float[Tensor, "rows heads time size"]:
    """Return softmax(query·key·scaling)·value where `mask` is True; heads that share a key head are one product with it."""
    shape, rows = query.shape, key.shape[0] * key.shape[1]
    scores = torch.bmm((query * scaling).reshape(rows, -1, shape[-1]), key.flatten(0, 1).mT).view(*shape[:-1], -1)
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return torch.bmm(scores.softmax(-1).view(rows, -1, scores.shape[-1]), value.flatten(0, 1)).view(shape)


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
