"""One pass over prompts with responses: what a language model predicts where a response token counts, and nowhere else."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rlhf_core.models.encoder_decoder import run_pairs
from rlhf_core.models.prefix import run_rows


def run_responses(
    lm: Any, tokens: Tensor, mask: Bool[Tensor, "batch time"], counts: Bool[Tensor, "batch time"], prefix: int = 0
) -> tuple[Float[Tensor, "tokens vocab"], Float[Tensor, "tokens width"]]:
    """Run prompts with their responses; return the logits and hidden states that predict each response token.

    One row for every True of `counts`, in reading order: the vocabulary is not computed for anything else.

    Args:
        tokens: ids (batch, time), or the vectors (batch, time, width) that enter the model's first layer.
        prefix: how many tokens are the same at the beginning of every row; they are run once (`run_rows`).
    """
    causal_lm = plain(lm)
    if causal_lm.config.is_encoder_decoder:
        return run_pairs(causal_lm, tokens, mask, counts)
    hidden = run_rows(getattr(causal_lm, causal_lm.base_model_prefix), tokens, mask, prefix)
    hidden = hidden[:, :-1][counts[:, 1:]]
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
