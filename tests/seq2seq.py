"""A tiny T5 with random weights and a byte tokenizer that closes texts with eos, as T5's own does; for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from rlhf_core.config import LoraConfig, PolicyConfig
from rlhf_core.models.policy import Policy, load_policy
from rlhf_core.models.tiny import byte_level
from tests.engine import LORA

PAD, EOS = "<pad>", "</s>"


def t5_tokenizer() -> Any:
    """Return a tokenizer of single bytes without a chat template; pad is id 0 and eos id 1, as T5 has them."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: n for n, token in enumerate([PAD, EOS, *alphabet])}
    backend = byte_level(models.BPE(vocab=vocabulary, merges=[]), use_regex=False)
    backend.post_processor = processors.TemplateProcessing(single=f"$A {EOS}", special_tokens=[(EOS, 1)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=EOS, pad_token=PAD, model_max_length=512)


def write_t5(folder: Path, **settings: Any) -> str:
    """Write a T5 of two layers in each stack, the same at every call, and return its folder."""
    tokenizer = t5_tokenizer()
    sizes: dict[str, Any] = {
        "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "dropout_rate": 0.1,
        "feed_forward_proj": "gated-gelu", "initializer_factor": 0.4, "vocab_size": len(tokenizer),
        "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1, "tie_word_embeddings": False,
    }  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        model = T5ForConditionalGeneration(T5Config(**(sizes | settings)))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def t5_policy(folder: str, lora: LoraConfig | None = LORA, *, trainable: bool = True, dtype: Any = "float32") -> Policy:
    """Return the policy on a folder's T5, the same at every call."""
    torch.manual_seed(0)
    return load_policy(folder, PolicyConfig(model=folder, dtype=dtype, lora=lora), trainable=trainable)
