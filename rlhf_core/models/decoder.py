"""One decoding step of a language model, as near to its matrix products alone as Python allows.

`decoder_for` gives the fast one to Llama-like models and transformers' own to all others; both answer the same calls, and
a test compares them token by token.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from rlhf_core.models.attention import MOST_SCORES, grouped_attention
from rlhf_core.models.encoder_decoder import PairDecoder
from rlhf_core.models.forward import plain
from rlhf_core.models.merged import merged_view
from rlhf_core.models.products import product
from rlhf_core.ops.text_masks import position_ids

GROW = 32  # tokens by which the memory of keys and values grows
READ_ROWS = 16  # prompts read together; with more of them, more padding is read


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
    """Return a decoder for a language model, with the adapters it has at this moment."""
    causal_lm = merged_view(plain(lm))
    if causal_lm.config.is_encoder_decoder:
        return PairDecoder(causal_lm)
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
    """A Llama-like model, each of its layers a few tensor operations; what it has read lies in memory that grows in steps.

    The weights are laid out anew for it (`products`), and heads that share keys are computed together.
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
        """Read the prompts, those of like length together; see `Decoder`.

        The prefix goes to the first columns of every row: what is a row's own begins behind as much padding and prefix.
        """
        (batch, self.length), device = ids.shape, ids.device
        room = self.length + min(new, GROW)
        for layer in self.layers:
            layer.keys = torch.zeros(batch, self.heads, self.size, room, dtype=self.lm.dtype, device=device)
            layer.values = torch.zeros(batch, self.heads, room, self.size, dtype=self.lm.dtype, device=device)
        positions, own = position_ids(mask), mask & (mask.cumsum(1) > prefix)
        if prefix:
            self._read_prefix(ids[0][mask[0]][:prefix])
        seen = functional.pad(own, (0, room - self.length))
        seen[:, :prefix] = True
        last = ids.new_zeros(batch, self.lm.config.hidden_size, dtype=self.lm.dtype)
        together = max(1, min(READ_ROWS, MOST_SCORES // (self.heads * self.groups * self.length * room)))
        for rows in own.sum(1).argsort(stable=True).split(together):
            span = slice(self.length - int(own[rows].sum(1).max()), self.length)
            mask = seen[rows][:, None] & _before(span, room, device)
            last[rows] = self._run(ids[rows, span], positions[rows, span], mask, rows, span)[:, -1]
        self.positions, self.seen = positions[:, -1:], seen
        return self.head(last)

    def step(self, tokens: Int[Tensor, "batch"]) -> Float[Tensor, "batch vocab"]:
        """Append one token to every row; see `Decoder`."""
        if self.length == self.seen.shape[1]:
            self._grow()
        self.seen[:, self.length] = True
        self.positions, self.length = self.positions + 1, self.length + 1
        span = slice(self.length - 1, self.length)
        return self.head(self._run(tokens[:, None], self.positions, self.seen[:, None], slice(None), span)[:, -1])

    def keep(self, rows: Int[Tensor, "kept"]) -> None:
        """Go on with these rows alone; see `Decoder`."""
        self.positions, self.seen = self.positions[rows], self.seen[rows]
        for layer in self.layers:
            layer.keys, layer.values = layer.keys[rows], layer.values[rows]

    def _grow(self) -> None:
        """Make room for more tokens. The room is used whole, hidden where it is empty: a part of it would be copied first."""
        self.seen = functional.pad(self.seen, (0, GROW))
        for layer in self.layers:
            layer.keys = functional.pad(layer.keys, (0, GROW))
            layer.values = functional.pad(layer.values, (0, 0, 0, GROW))

    def _read_prefix(self, ids: Int[Tensor, "prefix"]) -> None:
        """Read what all rows begin with in the first, and give it to the others."""
        span, room = slice(0, len(ids)), self.layers[0].keys.shape[-1]
        positions = torch.arange(len(ids), device=ids.device)
        self._run(ids[None], positions[None], _before(span, room, ids.device)[None], slice(0, 1), span)
        for layer in self.layers:
            layer.keys[..., span] = layer.keys[:1, ..., span]
            layer.values[..., span, :] = layer.values[:1, ..., span, :]

    def _run(
        self, ids: Int[Tensor, "rows time"], positions: Int[Tensor, "rows time"], mask: Bool[Tensor, "rows time room"],
        rows: Tensor | slice, span: slice,
    ) -> Float[Tensor, "rows time width"]:  # fmt: skip
        """Run the layers over new tokens of some rows, kept in the columns `span`; return their final states.

        `mask` says which columns a token attends to.
        """
        model, shape = self.lm.model, ids.shape
        x = model.embed_tokens(ids).flatten(0, 1)
        cos, sin = (turn.flatten(0, 1)[:, None] for turn in model.rotary_emb(x, positions))  # (tokens, 1, size) each
        # rotate(v)·sin with rotate(v) = (−v₂, v₁): the sign goes into sin, once for all layers.
        sin = torch.cat([-sin[..., : self.size // 2], sin[..., self.size // 2 :]], -1)
        for layer in self.layers:
            projected = layer.qkv(normed(layer.before_attention, x)).unflatten(-1, (-1, self.size))
            turned, values = projected.split([self.heads * (self.groups + 1), self.heads], 1)
            turned = turned * cos + turned.roll(self.size // 2, -1) * sin
            query, keys = turned.split([self.heads * self.groups, self.heads], 1)
            layer.keys[rows, ..., span] = keys.unflatten(0, shape).permute(0, 2, 3, 1)
            layer.values[rows, :, span] = values.unflatten(0, shape).transpose(1, 2)
            query = query.unflatten(0, shape).transpose(1, 2)
            seen = grouped_attention(query, layer.keys[rows].mT, layer.values[rows], mask[:, None], self.size**-0.5)
            x = layer.out.plus(seen.transpose(1, 2).reshape(len(x), -1), x)
            x = layer.down.plus(layer.gated(normed(layer.before_mlp, x)), x)
        return normed(model.norm, x).unflatten(0, shape)


def _before(span: slice, room: int, device: torch.device) -> Bool[Tensor, "time room"]:
    """The columns that a token in each of those in `span` may look at: its own, and those before."""
    return torch.arange(room, device=device) <= torch.arange(span.start, span.stop, device=device)[:, None]


class _Layer:
    """The products of one layer, and what it has seen: keys (batch, key heads, size, room), values (…, room, size).

    Keys lie as they are multiplied: a product of few rows with the other order would copy them at every step.
    """

    keys: Tensor
    values: Tensor

    def __init__(self, layer: Any) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.before_attention, self.before_mlp = layer.input_layernorm, layer.post_attention_layernorm
        self.qkv = product(attention.q_proj, attention.k_proj, attention.v_proj)
        self.out = product(attention.o_proj)
        self.gate, self.up, self.down = product(mlp.gate_proj), product(mlp.up_proj), product(mlp.down_proj)
        self.activation = mlp.act_fn
        self.is_silu = mlp.config.hidden_act == "silu"

    def gated(self, x: Float[Tensor, "batch width"]) -> Float[Tensor, "batch inner"]:
        """Return activation(gate(x)) · up(x)."""
        return self.up.times(x, self.gate.silu(x) if self.is_silu else self.activation(self.gate(x)))


def normed(norm: Any, x: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
    """Return what an RMS norm of transformers' makes of `x`, in one operation."""
    return functional.rms_norm(x, norm.weight.shape, norm.weight, norm.variance_epsilon)
