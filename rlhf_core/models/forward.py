"""One pass over prompts with responses: what a causal language model predicts where a response token counts, and nowhere else."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rlhf_core.ops.text_masks import position_ids


def run_responses(
    lm: Any, tokens: Tensor, mask: Bool[Tensor, "batch time"], counts: Bool[Tensor, "batch time"]
) -> tuple[Float[Tensor, "tokens vocab"], Float[Tensor, "tokens width"]]:
    """Run prompts with their responses; return the logits and hidden states that predict each response token.

    One row for every True of `counts`, in reading order: the vocabulary is not computed for anything else.

    Args:
        tokens: ids (batch, time), or the vectors (batch, time, width) that enter the model's first layer.
    """
    causal_lm = plain(lm)
    out = getattr(causal_lm, causal_lm.base_model_prefix)(
        **{"inputs_embeds" if tokens.is_floating_point() else "input_ids": tokens},
        attention_mask=mask.long(), position_ids=position_ids(mask), use_cache=False,
    )  # fmt: skip
    hidden = out.last_hidden_state[:, :-1][counts[:, 1:]]
    return vocabulary_logits(causal_lm, hidden), hidden


def vocabulary_logits(causal_lm: Any, hidden: Float[Tensor, "tokens width"]) -> Float[Tensor, "tokens vocab"]:
    """Return the logits of final hidden states: the output embeddings, and what some architectures do to them.

    Cohere multiplies by `logit_scale`, Granite divides by `logits_scaling`, Gemma 2 caps: c·tanh(z/c).
    """
    config = causal_lm.config
    logits = causal_lm.get_output_embeddings()(hidden)
    if scale := getattr(config, "logit_scale", None):
        logits = logits * scale
    if divisor := getattr(config, "logits_scaling", None):
        logits = logits / divisor
    if cap := getattr(config, "final_logit_softcapping", None):
        logits = cap * torch.tanh(logits / cap)
    return logits


def plain(lm: Any) -> Any:
    """Return the transformers model inside a peft wrapper, its adapters still in its layers; any other model as it is."""
    return lm.get_base_model() if hasattr(lm, "get_base_model") else lm
