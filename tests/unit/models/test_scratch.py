"""A tokenizer and a model from nothing: merges, special tokens, shapes, and that a seed decides the weights."""

from __future__ import annotations

from pathlib import Path

import torch

from rlhf_core.config.pretrain import ModelConfig, TokenizerConfig
from rlhf_core.models.scratch import encode_texts, new_language_model, train_tokenizer
from rlhf_core.models.sources import load_tokenizer

TEXTS = ["abab abab abab", "cd cd", "naïve – 茶\n"]
MODEL = ModelConfig(layers=1, width=16, heads=4, kv_heads=2, context=32)


def test_the_first_merge_is_the_most_frequent_pair():
    """`ab` occurs six times, `ba` three, `cd` twice; 259 tokens are there before the first merge."""
    tokenizer = train_tokenizer(TEXTS, TokenizerConfig(vocab_size=260), 32)
    assert len(tokenizer) == 260 and tokenizer.convert_ids_to_tokens(259) == "ab"
    assert tokenizer.tokenize("abab") == ["ab", "ab"]


def test_bos_eos_and_pad_are_three_tokens_and_text_never_becomes_one():
    """Claim 1; a text that spells a special token stays text."""
    tokenizer = train_tokenizer(TEXTS, TokenizerConfig(vocab_size=280), 32)
    special = {tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id}
    assert special == {0, 1, 2}
    (ids,) = encode_texts(tokenizer, ["stop<|im_end|>here"])
    assert special.isdisjoint(ids) and tokenizer.decode(ids) == "stop<|im_end|>here"
    assert tokenizer("<|im_end|>")["input_ids"] == [tokenizer.eos_token_id]  # as before: the chat template needs it


def test_any_text_round_trips_also_one_never_seen():
    tokenizer = train_tokenizer(TEXTS, TokenizerConfig(vocab_size=270), 32)
    texts = ["Ωmega\t  and \u2028 lines\r\n", "", *TEXTS] * 70  # more than one batch of encoding
    assert [tokenizer.decode(ids) for ids in encode_texts(tokenizer, texts)] == texts


def test_a_saved_tokenizer_gives_the_same_ids_and_speaks_chatml(tmp_path: Path):
    tokenizer = train_tokenizer(TEXTS, TokenizerConfig(vocab_size=265), 32)
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    again = load_tokenizer(tmp_path)
    assert again("abab naïve")["input_ids"] == tokenizer("abab naïve")["input_ids"]
    chat = again.apply_chat_template([{"role": "user", "content": "cd"}], tokenize=False, add_generation_prompt=True)
    assert chat == "<|im_start|>user\ncd<|im_end|>\n<|im_start|>assistant\n"
    assert again.pad_token_id == 0 != again.eos_token_id == 2


def test_the_model_has_the_shape_asked_for_and_the_weights_of_its_seed():
    tokenizer = train_tokenizer(TEXTS, TokenizerConfig(vocab_size=265), 32)
    before = torch.get_rng_state()
    one, same, other = (new_language_model(MODEL, tokenizer, torch.Generator().manual_seed(n)) for n in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    weights = [lm.model.layers[0].self_attn.k_proj.weight for lm in (one, same, other)]
    assert weights[0].shape == (8, 16)  # two key heads of 16/4 numbers
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert one.model.layers[0].mlp.up_proj.weight.shape == (64, 16)  # 8/3 · 16 = 42.7, in steps of 32
    assert one.get_input_embeddings().weight is one.get_output_embeddings().weight
    assert (one.config.vocab_size, one.config.max_position_embeddings, one.dtype) == (265, 32, torch.float32)
