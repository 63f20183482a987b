"""Encoder–decoder language models (T5, BART): the encoder reads the prompt, the decoder writes the response.

All above them is that of decoders alone: a row still is a prompt with its response right behind it, and is taken apart here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput

from rlhf_core.errors import ModelError
from rlhf_core.models.transformer_layers import transformer_layers
from rlhf_core.ops.text_masks import to_front


def run_pairs(
    lm: Any, ids: Int[Tensor, "batch time"], mask: Bool[Tensor, "batch time"], counts: Bool[Tensor, "batch time"]
) -> tuple[Float[Tensor, "tokens vocab"], Float[Tensor, "tokens width"]]:
    """Run prompts through the encoder and responses, one place to the right, through the decoder; see `run_responses`."""
    prompts, read = to_front(ids, mask & ~counts)
    responses, real = to_front(ids, counts)
    before = torch.cat([_starts(lm, responses), responses[:, :-1]], 1)
    with _final_states(lm) as states:
        logits = lm(
            input_ids=prompts, attention_mask=read.long(), decoder_input_ids=before,
            decoder_attention_mask=real.long(), use_cache=False,
        ).logits  # fmt: skip
    return logits[real], states[0][real]


class PairDecoder:
    """Decodes with transformers' own caches, one of what was written and one of what the encoder read; see `Decoder`."""

    def __init__(self, lm: Any) -> None:
        self.lm = lm
        self.cache: Any = None

    def prompt(
        self, ids: Int[Tensor, "batch time"], mask: Bool[Tensor, "batch time"], new: int, prefix: int = 0
    ) -> Float[Tensor, "batch vocab"]:
        """Read the prompts in the encoder; see `Decoder`."""
        prompts, self.read = to_front(ids, mask)
        self.encoded = self.lm.get_encoder()(input_ids=prompts, attention_mask=self.read.long())[0]
        self.cache = None
        return self.step(_starts(self.lm, ids).squeeze(1))

    def step(self, tokens: Int[Tensor, "batch"]) -> Float[Tensor, "batch vocab"]:
        """Append one token to every row; see `Decoder`."""
        out = self.lm(
            encoder_outputs=BaseModelOutput(self.encoded), attention_mask=self.read.long(),
            decoder_input_ids=tokens.unsqueeze(1), past_key_values=self.cache, use_cache=True,
        )  # fmt: skip
        self.cache = out.past_key_values
        return out.logits[:, -1]

    def keep(self, rows: Int[Tensor, "kept"]) -> None:
        """Go on with these rows alone; see `Decoder`."""
        self.cache.batch_select_indices(rows)
        self.encoded, self.read = self.encoded[rows], self.read[rows]


def last_layers(lm: Any, count: int) -> list[str]:
    """Return the names of the last `count` layers of the encoder and of the decoder, as prefixes of what is in them."""
    names = {id(module): name for name, module in lm.named_modules()}
    stacks = [transformer_layers(stack) for stack in (lm.get_encoder(), lm.get_decoder())]
    return [f"{names[id(layer)]}." for layers in stacks for layer in layers[-count:]]


def _starts(lm: Any, ids: Int[Tensor, "batch time"]) -> Int[Tensor, "batch 1"]:
    """What the decoder is given before the first token of a response."""
    start = lm.config.decoder_start_token_id
    if start is None:
        raise ModelError(
            "does not say what its decoder starts with", where=type(lm).__name__,
            remedy="Set decoder_start_token_id in its config.json",
        )  # fmt: skip
    return ids.new_full((len(ids), 1), start)


@contextmanager
def _final_states(lm: Any) -> Iterator[list[Float[Tensor, "batch response width"]]]:
    """Collect what the decoder gives to the output layer in forward passes made in this context."""
    states: list[Tensor] = []
    hook = lm.get_decoder().register_forward_hook(lambda _module, _args, out: states.append(out[0]))
    try:
        yield states
    finally:
        hook.remove()
