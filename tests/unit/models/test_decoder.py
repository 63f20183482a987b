"""Decoding one token at a time, against the whole sequence run again for every token."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, OPTConfig, OPTForCausalLM

from rlhf_core.config import LoraConfig
from rlhf_core.models import decoder as module
from rlhf_core.models.decoder import CachedDecoder, Decoder, LlamaDecoder, decoder_for
from rlhf_core.ops.text_masks import pad_rows, position_ids
from tests.engine import LORA, move, tiny_policy

PROMPTS = [list(b"tell me"), [7], list(b"a much longer prompt than that")]
TOKENS = torch.tensor([[40, 41, 42, 43], [50, 51, 52, 53], [60, 61, 62, 63]])


@torch.no_grad()
def whole(lm: Any, rows: list[int], length: int, prefix: Sequence[int] = ()) -> Tensor:
    """Logits after the prompts and the first `length` tokens, of the given rows, from one pass over everything."""
    ids, mask = pad_rows([[*prefix, *PROMPTS[n], *TOKENS[n, :length].tolist()] for n in rows], 0, left=True)
    return lm(input_ids=ids, attention_mask=mask.long(), position_ids=position_ids(mask)).logits[:, -1]


@torch.no_grad()
def assert_decodes(decoder: Decoder, lm: Any, prefix: Sequence[int] = (), **tolerance: float) -> None:
    """Compare every step with the whole; after two steps the row in the middle leaves."""
    ids, mask = pad_rows([[*prefix, *prompt] for prompt in PROMPTS], 0, left=True)
    rows = [0, 1, 2]
    logits = decoder.prompt(ids, mask, TOKENS.shape[1], len(prefix))
    torch.testing.assert_close(logits, whole(lm, rows, 0, prefix), **tolerance)
    for n in range(TOKENS.shape[1]):
        if n == 2:
            rows = [0, 2]
            decoder.keep(torch.tensor(rows))
        found = decoder.step(TOKENS[rows, n])
        torch.testing.assert_close(found, whole(lm, rows, n + 1, prefix), **tolerance)


CLOSE = {"atol": 1e-4, "rtol": 1e-4}


@pytest.mark.parametrize("kind", [LlamaDecoder, CachedDecoder])
def test_a_plain_model_decodes_as_it_runs(kind: Any):
    """Claim 2: also with padding, with heads that share keys, and after a row has left."""
    lm = tiny_policy(trainable=False).lm
    assert_decodes(kind(lm), lm, **CLOSE)


@pytest.mark.parametrize("together", [1, 2, 3])
@pytest.mark.parametrize("prefix", [b"", b"sys"])
def test_prompts_that_begin_alike_or_are_read_in_groups(together: int, prefix: bytes, monkeypatch: pytest.MonkeyPatch):
    """Claim 2: the longest prompt is neither in the first group nor in the first row."""
    monkeypatch.setattr(module, "READ_ROWS", together)
    policy = move(tiny_policy(), size=0.2)
    for decoder in (decoder_for(policy.lm), CachedDecoder(policy.lm)):
        assert_decodes(decoder, policy.lm, prefix, **CLOSE)


@pytest.mark.parametrize("grow", [1, 2, 3])
def test_memory_grows_when_it_is_full(grow: int, monkeypatch: pytest.MonkeyPatch):
    """Claim 2: four tokens are appended to room for `grow`; also after a row has left."""
    monkeypatch.setattr(module, "GROW", grow)
    policy = move(tiny_policy(), size=0.2)
    decoder = decoder_for(policy.lm)
    assert_decodes(decoder, policy.lm, b"sys", **CLOSE)
    assert isinstance(decoder, LlamaDecoder)
    assert decoder.length <= decoder.seen.shape[1] < decoder.length + grow


def test_no_more_rows_are_read_together_than_their_scores_have_room(monkeypatch: pytest.MonkeyPatch):
    lm, together = tiny_policy(trainable=False).lm, []
    monkeypatch.setattr(module, "MOST_SCORES", 1)
    reads = LlamaDecoder._run

    def count(self: LlamaDecoder, ids: Tensor, *rest: Any) -> Tensor:
        together.append(len(ids))
        return reads(self, ids, *rest)

    monkeypatch.setattr(LlamaDecoder, "_run", count)
    with torch.no_grad():
        LlamaDecoder(lm).prompt(*pad_rows(PROMPTS, 0, left=True), 4)
    assert together == [1, 1, 1]


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("lora", [LORA, LoraConfig(r=4, alpha=8, targets="all-linear", layers=1)])
def test_adapters_decode_as_they_run(lora: LoraConfig, reference: bool):
    """Claim 3: what is sampled is what the policy, or its reference, says of it."""
    policy = move(tiny_policy(lora), size=0.2)
    with policy.reference() if reference else nullcontext(policy.lm) as lm:
        decoder = decoder_for(lm)
        assert isinstance(decoder, LlamaDecoder)
        assert_decodes(decoder, lm, **CLOSE)


def test_the_adapters_that_count_are_those_of_the_moment():
    policy = move(tiny_policy(), size=0.2)
    assert_decodes(decoder_for(policy.lm), policy.lm, **CLOSE)
    move(policy, size=0.2, seed=2)
    assert_decodes(decoder_for(policy.lm), policy.lm, **CLOSE)


def test_a_bfloat16_base_keeps_its_adapters_unrounded():
    """Merged in bfloat16, adapters this small (|B·A|·s ≪ 2⁻⁸·|W|) would be rounded away."""
    policy = move(tiny_policy(dtype="bfloat16"), size=0.2)
    assert_decodes(decoder_for(policy.lm), policy.lm, atol=0.03, rtol=0.03)


def test_biases_and_odd_shapes_are_kept():
    config = LlamaConfig(
        vocab_size=300, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3,
        num_key_value_heads=1, head_dim=12, attention_bias=True, mlp_bias=True, hidden_act="gelu",
        tie_word_embeddings=False, rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 1000.0},
    )  # fmt: skip
    torch.manual_seed(0)
    lm = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for name, weight in lm.named_parameters():
            if name.endswith("bias"):
                weight.normal_()
    assert_decodes(LlamaDecoder(lm), lm, **CLOSE)


def test_another_architecture_takes_the_cache_of_transformers():
    config = OPTConfig(
        vocab_size=300, hidden_size=16, ffn_dim=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, word_embed_proj_dim=16,
    )  # fmt: skip
    torch.manual_seed(0)
    lm = OPTForCausalLM(config).eval()
    decoder = decoder_for(lm)
    assert isinstance(decoder, CachedDecoder)
    assert_decodes(decoder, lm, **CLOSE)
