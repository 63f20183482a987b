"""`tiny`: a deterministic two-layer Llama with a byte tokenizer, made in a moment. For tests; what it writes means nothing."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")  # pad, bos, eos: ids 0, 1, 2
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tiny_folder(cache: Path) -> Path:
    """Return the Hugging Face folder of the tiny model under `cache`, writing it first when it is not there."""
    folder = cache / "models" / "tiny-1"
    if (folder / "complete").is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        built = Path(scratch) / "tiny"
        _write(built)
        (built / "complete").write_text("tiny 1\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        built.replace(folder)
    return folder


def _write(folder: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = byte_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(20_17)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def byte_tokenizer() -> Any:
    """Return a tokenizer with one id per byte and three special tokens; any text round-trips."""
    from tokenizers import models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {token: n for n, token in enumerate([*SPECIAL_TOKENS, *alphabet])}
    return chat_tokenizer(byte_level(models.BPE(vocab=vocab, merges=[]), use_regex=False), context=1024)


def byte_level(model: Any, *, use_regex: bool) -> Any:
    """Return a tokenizer backend that reads and writes bytes; `use_regex` first splits a text into words."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers

    backend = Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)
    backend.decoder = decoders.ByteLevel()
    return backend


def chat_tokenizer(backend: Any, context: int) -> Any:
    """Return `backend` as a tokenizer with pad, bos and eos of its own and a ChatML template."""
    from transformers import PreTrainedTokenizerFast

    pad, bos, eos = SPECIAL_TOKENS
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=bos, eos_token=eos, pad_token=pad, chat_template=CHAT_TEMPLATE,
        model_max_length=context,
    )  # fmt: skip
