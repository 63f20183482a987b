"""A tokenizer trained on text, and a language model of random weights: what a chain that starts from nothing starts from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import torch

from rlhf_core.config.pretrain import ModelConfig, TokenizerConfig
from rlhf_core.models.tiny import SPECIAL_TOKENS, byte_level, chat_tokenizer

ENCODE_BATCH = 256


def train_tokenizer(texts: Iterable[str], config: TokenizerConfig, context: int) -> Any:
    """Learn the merges of a byte-level BPE (Sennrich et al. 2016, arXiv 1508.07909; on bytes as GPT-2) from texts.

    The tokenizer has three tokens besides: bos, eos and pad, all different, and a ChatML template.
    """
    from tokenizers import models, pre_tokenizers, trainers

    backend = byte_level(models.BPE(), use_regex=True)
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size, special_tokens=list(SPECIAL_TOKENS), show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    backend.train_from_iterator(iter(texts), trainer)
    return chat_tokenizer(backend, context)


def encode_texts(tokenizer: Any, texts: Iterable[str]) -> Iterator[Sequence[int]]:
    """Yield the token ids of texts; a special token written out in a text is text like any other."""
    backend, source = tokenizer.backend_tokenizer, iter(texts)
    backend.encode_special_tokens = True
    try:
        while part := list(islice(source, ENCODE_BATCH)):
            yield from (encoding.ids for encoding in backend.encode_batch(part, add_special_tokens=False))
    finally:
        backend.encode_special_tokens = False


def new_language_model(config: ModelConfig, tokenizer: Any, generator: torch.Generator) -> Any:
    """Build a Llama (Touvron et al. 2023, arXiv 2302.13971) of normal random weights with tied embeddings, in float32.

    The feed-forward layers have 8/3 of the width, rounded up to a multiple of 32.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    settings = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=config.width,
        intermediate_size=-(-config.width * 8 // 96) * 32,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.kv_heads,
        max_position_embeddings=config.context,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator.initial_seed())  # the library draws weights from the global stream
        return LlamaForCausalLM(settings)
