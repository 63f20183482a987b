"""One decoding step of a language model, as near to its matrix products alone as Python allows.

`decoder_for` gives the fast one to Llama-like models and transformers' own to all others; both answer the same calls, and
a test compares them token by token.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeGuard

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from rlhf_core.models.forward import plain
from rlhf_core.models.merged import merged_view
from rlhf_core.models.prefix import run_rows
from rlhf_core.ops.text_masks import position_ids

READ_ROWS = 16  # prompts read together; with more of them, more padding is read

Product = Callable[[Tensor], Tensor]


class Decoder(Protocol):
    """Decodes a batch whose prompts are left-padded: `prompt` once, then `step` for each new token."""

    def prompt(
        self, ids: Int[Tensor, "batch time"], mask: Bool[Tensor, "batch time"], new: int, prefix: int = 0
    ) -> Float[Tensor, "batch vocab"]:
        """Read the prompts, to be followed by at most `new` tokens; return the logits of the first.

        `prefix` tokens are the same at the beginning of all (`common_prefix`); who can, reads them once.
        """
        ...

    def step(self, tokens: Int[Tensor, "batch"]) -> Float[Tensor, "batch vocab"]:
        """Append one token to every row; return the logits of the next."""
        ...

    def keep(self, rows: Int[Tensor, "kept"]) -> None:
        """Go on with these rows of the batch alone."""
        ...


def decoder_for(lm: Any) -> Decoder:
    """Return a decoder for a causal LM, with the adapters it has at this moment."""
    causal_lm = merged_view(plain(lm))
    return LlamaDecoder(causal_lm) if causal_lm.config.model_type == "llama" else CachedDecoder(causal_lm)


class CachedDecoder:
    """Any causal LM of transformers, with its own key-value cache."""

    def __init__(self, lm: Any) -> None:
        self.lm = lm
        self.cache: Any = None

    def prompt(
        self, ids: Int[Tensor, "batch time"], mask: Bool[Tensor, "batch time"], new: int, prefix: int = 0
    ) -> Float[Tensor, "batch vocab"]:
        """Read the prompts; see `Decoder`."""
        self.cache, self.mask, self.positions = None, mask, position_ids(mask)
        return self._forward(ids)

    def step(self, tokens: Int[Tensor, "batch"]) -> Float[Tensor, "batch vocab"]:
        """Append one token to every row; see `Decoder`."""
        self.mask = torch.cat([self.mask, torch.ones_like(tokens, dtype=torch.bool).unsqueeze(1)], 1)
        self.positions = self.positions[:, -1:] + 1
        return self._forward(tokens.unsqueeze(1))

    def keep(self, rows: Int[Tensor, "kept"]) -> None:
        """Go on with these rows alone; see `Decoder`."""
        self.cache.batch_select_indices(rows)
        self.mask, self.positions = self.mask[rows], self.positions[rows]

    def _forward(self, ids: Int[Tensor, "batch time"]) -> Float[Tensor, "batch vocab"]:
        out = self.lm(
            input_ids=ids, attention_mask=self.mask.long(), position_ids=self.positions, past_key_values=self.cache,
            use_cache=True, logits_to_keep=1,
        )  # fmt: skip
        self.cache = out.past_key_values
        return out.logits[:, -1]


class LlamaDecoder:
    """A Llama-like model: transformers reads the prompts, then each step is a few tensor operations a layer.

    Keys and values lie in memory reserved for the whole response, and heads that share keys are computed together.
    """

    def __init__(self, causal_lm: Any) -> None:
        self.lm, config = causal_lm, causal_lm.config
        self.heads, self.groups = config.num_key_value_heads, config.num_attention_heads // config.num_key_value_heads
        self.size = causal_lm.model.layers[0].self_attn.head_dim
        self.layers = [_Layer(layer) for layer in causal_lm.model.layers]
        self.head = product(causal_lm.lm_head)
        self.length = 0

    def prompt(
        self, ids: Int[Tensor, "batch time"], mask: Bool[Tensor, "batch time"], new: int, prefix: int = 0
    ) -> Float[Tensor, "batch vocab"]:
        """Read the prompts, those of like length together; see `Decoder`."""
        batch, self.length = ids.shape
        dtype, room = self.lm.dtype, (batch, self.heads, self.length + new, self.size)
        for layer in self.layers:
            layer.keys, layer.values = (torch.zeros(room, dtype=dtype, device=ids.device) for _ in range(2))
        real = torch.zeros(batch, self.length + new, dtype=torch.bool, device=ids.device)
        real[:, self.length :] = True
        last = ids.new_zeros(batch, self.lm.config.hidden_size, dtype=dtype)
        for rows in mask.sum(1).argsort(stable=True).split(READ_ROWS):
            width = int(mask[rows].sum(1).max())
            span = slice(self.length - width, self.length)
            hidden, cache, seen = run_rows(self.lm.model, ids[rows, span], mask[rows, span], prefix, cached=True)
            last[rows], real[rows, span] = hidden[:, -1], seen
            for layer, cached in zip(self.layers, cache.layers, strict=True):
                layer.keys[rows, :, span], layer.values[rows, :, span] = cached.keys, cached.values
        for layer in self.layers:
            layer.keys, layer.values = layer.keys.flatten(0, 1), layer.values.flatten(0, 1)
        self.positions = position_ids(mask)[:, -1:]
        self.bias = torch.zeros(real.shape, dtype=dtype, device=ids.device)[:, None, None]
        self.bias.masked_fill_(~real[:, None, None], torch.finfo(dtype).min)
        return self.head(last)

    def step(self, tokens: Int[Tensor, "batch"]) -> Float[Tensor, "batch vocab"]:
        """Append one token to every row; see `Decoder`."""
        model = self.lm.model
        self.positions, self.length = self.positions + 1, self.length + 1
        x = model.embed_tokens(tokens)
        cos, sin = model.rotary_emb(x, self.positions)  # (batch, 1, size) each
        # rotate(v)·sin with rotate(v) = (−v₂, v₁): the sign goes into sin, once a step instead of once a layer.
        sin = torch.cat([-sin[..., : self.size // 2], sin[..., self.size // 2 :]], -1)
        bias = self.bias[..., : self.length].expand(-1, self.heads, self.groups, -1).flatten(0, 1)
        for layer in self.layers:
            x = x + layer.out(self._attend(layer, layer.before_attention(x), cos, sin, bias))
            y = layer.before_mlp(x)
            x = x + layer.down(layer.activation(layer.gate(y)) * layer.up(y))
        return self.head(model.norm(x))

    def keep(self, rows: Int[Tensor, "kept"]) -> None:
        """Go on with these rows alone; see `Decoder`."""
        self.positions, self.bias = self.positions[rows], self.bias[rows]
        for layer in self.layers:
            layer.keys, layer.values = (
                cached.unflatten(0, (-1, self.heads))[rows].flatten(0, 1) for cached in (layer.keys, layer.values)
            )

    def _attend(self, layer: _Layer, x: Tensor, cos: Tensor, sin: Tensor, bias: Tensor) -> Float[Tensor, "batch width"]:
        batch, queries = len(x), self.heads * self.groups
        projected = layer.qkv(x).reshape(batch, -1, self.size)
        turned = projected[:, : queries + self.heads]
        turned = turned * cos + turned.roll(self.size // 2, -1) * sin
        layer.keys[:, self.length - 1] = turned[:, queries:].flatten(0, 1)
        layer.values[:, self.length - 1] = projected[:, queries + self.heads :].flatten(0, 1)
        query = turned[:, :queries].reshape(batch * self.heads, self.groups, self.size)
        keys, values = layer.keys[:, : self.length], layer.values[:, : self.length]
        weights = torch.baddbmm(bias, query, keys.transpose(1, 2), alpha=self.size**-0.5).softmax(-1)
        return torch.bmm(weights, values).reshape(batch, -1)


class _Layer:
    """The products of one layer, and the keys and values it has seen, each (batch · key heads, time, size)."""

    keys: Tensor
    values: Tensor

    def __init__(self, layer: Any) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.before_attention, self.before_mlp = layer.input_layernorm, layer.post_attention_layernorm
        self.qkv = joint_product(attention.q_proj, attention.k_proj, attention.v_proj)
        self.out = product(attention.o_proj)
        self.gate, self.up, self.down = product(mlp.gate_proj), product(mlp.up_proj), product(mlp.down_proj)
        self.activation = mlp.act_fn


def product(layer: nn.Module) -> Product:
    """Return x ↦ layer(x) for a batch of vectors.

    In float32 on a CPU it is computed as (W·xᵀ)ᵀ: up to a hundred rows, BLAS is faster with the weights first (docs/LOG.md).
    """
    return _weights_first(layer.weight, layer.bias) if _is_plain(layer) else layer


def joint_product(*layers: nn.Module) -> Product:
    """Return x ↦ (layer₁(x), layer₂(x), …) side by side, as one product where the layers are plain ones."""
    weights = [layer.weight for layer in layers if _is_plain(layer) and layer.bias is None]
    if len(weights) < len(layers):
        return lambda x: torch.cat([layer(x) for layer in layers], -1)
    return _weights_first(torch.cat(weights), None)


def _is_plain(layer: nn.Module) -> TypeGuard[nn.Linear]:
    if not isinstance(layer, nn.Linear):
        return False
    return type(layer) is nn.Linear and layer.weight.dtype == torch.float32 and layer.weight.device.type == "cpu"


def _weights_first(weight: Tensor, bias: Tensor | None) -> Product:
    if bias is None:
        return lambda x: torch.mm(weight, x.t()).t()
    return lambda x: torch.addmm(bias.unsqueeze(1), weight, x.t()).t()
