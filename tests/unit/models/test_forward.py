"""Logits and states of response tokens alone, against a model of transformers that computes everything."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    Gemma2Config,
    GPT2Config,
    GraniteConfig,
    LlamaConfig,
    OPTConfig,
)

from rlhf_core.models.forward import run_responses

SMALL: dict[str, Any] = {
    "vocab_size": 50, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 8, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
CONFIGS = [
    LlamaConfig(**SMALL),
    CohereConfig(**SMALL, logit_scale=0.25),
    GraniteConfig(**SMALL, logits_scaling=8.0),
    Gemma2Config(**SMALL, final_logit_softcapping=0.5),
    GPT2Config(vocab_size=50, n_embd=16, n_layer=2, n_head=2, n_positions=32),
    OPTConfig(
        vocab_size=50, hidden_size=16, ffn_dim=24, num_hidden_layers=2, num_attention_heads=2, word_embed_proj_dim=16,
        max_position_embeddings=32,
    ),
]  # fmt: skip


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.model_type)
def test_logits_are_the_models_own_where_a_response_token_counts(config: Any):
    """Rows of 6 and 4 tokens with responses of 2 and 3: the logits before each response token, row by row."""
    torch.manual_seed(0)
    lm = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for weight in lm.parameters():
            weight.mul_(3)
    rows = [[5, 6, 7, 8, 9, 10], [11, 12, 13, 14]]
    ids = torch.tensor([rows[0], [3, 3, *rows[1]]])
    mask = torch.tensor([[True] * 6, [False] * 2 + [True] * 4])
    counts = torch.arange(6) >= torch.tensor([[4], [3]])
    with torch.no_grad():
        logits, hidden = run_responses(lm, ids, mask, counts)
        alone = [lm(torch.tensor([row])).logits[0] for row in rows]
    torch.testing.assert_close(logits, torch.cat([alone[0][3:5], alone[1][0:3]]), atol=1e-4, rtol=1e-4)
    assert hidden.shape == (5, 16)
