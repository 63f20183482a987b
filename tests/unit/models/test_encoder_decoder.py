"""Encoder–decoder policies: transformers' own log-probabilities, padding without effect, sampling, adapters, saving."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, BartConfig, BartForConditionalGeneration

from rlhf_core.config import LoraConfig
from rlhf_core.errors import ModelError
from rlhf_core.models.encoder_decoder import run_pairs
from rlhf_core.models.policy import Policy, ValueModel, load_merged
from rlhf_core.models.sampling import SamplingConfig, draw_uniform, sample_responses
from rlhf_core.ops.logprobs import token_logprobs
from rlhf_core.training.rollout import assemble
from tests.engine import LORA, move
from tests.seq2seq import t5_policy, write_t5

PROMPTS = ("Summarise: A: Hello. B: Go away, you fool.", "Why?", "Name a colour, please.")
RESPONSES = ("They greet.", "No", "It is blue, I think.")


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_t5(tmp_path_factory.mktemp("models") / "t5")


def batch(policy: Policy) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Prompts with responses of different lengths, as a rollout holds them."""
    answers = [policy.encode_response(text) for text in RESPONSES]
    width = max(map(len, answers))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in answers])
    mask = torch.tensor([[n < len(row) for n in range(width)] for row in answers])
    return assemble([policy.encode_prompt(text, "", 128) for text in PROMPTS], ids, mask, 0)


@pytest.mark.parametrize(
    "settings", [{}, {"tie_word_embeddings": True, "feed_forward_proj": "relu"}], ids=["v1.1", "v1"]
)
def test_log_probabilities_are_those_of_the_plain_model_row_by_row(settings: dict[str, Any], tmp_path: Path):
    """Labels given to plain transformers, one row at a time and without padding; FLAN-T5 is a v1.1, whose head is its own."""
    folder = write_t5(tmp_path / "t5", **settings)
    policy = t5_policy(folder, lora=None, trainable=False)
    plain, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        logits, hidden = policy.run(*batch(policy))
        expected = []
        for prompt, response in zip(PROMPTS, RESPONSES, strict=True):
            asked = tokenizer(prompt, return_tensors="pt")
            labels = tokenizer(text_target=response, return_tensors="pt")["input_ids"]
            rows = plain(**asked, labels=labels).logits[0].log_softmax(-1)
            expected.append(rows[torch.arange(labels.shape[1]), labels[0]])
        ids, _, counts = batch(policy)
        found = token_logprobs(logits, ids[counts], 1.0)
    torch.testing.assert_close(found, torch.cat(expected), atol=1e-5, rtol=1e-5)
    assert hidden.shape == (len(found), policy.width) and found.std() > 0.05


def test_padding_and_garbage_under_it_change_nothing(t5: str):
    policy = t5_policy(t5, trainable=False)
    ids, mask, counts = batch(policy)
    with torch.no_grad():
        logits, hidden = policy.run(ids, mask, counts)
        wider = (
            torch.nn.functional.pad(ids, (7, 0), value=9),
            *(torch.nn.functional.pad(x, (7, 0)) for x in (mask, counts)),
        )
        for found, expected in zip(policy.run(*wider), (logits, hidden), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        garbage = ids.masked_fill(~mask, 77)
        assert torch.equal(policy.run(garbage, mask, counts)[0], logits)


def test_padding_is_no_position_for_an_encoder_that_learns_each_position(t5: str):
    """T5's positions are relative and would hide padding on the left of a prompt; BART has a vector for every one."""
    torch.manual_seed(0)
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "vocab_size": 300, "decoder_start_token_id": 2}
    bart = BartForConditionalGeneration(BartConfig(**sizes, **heads, max_position_embeddings=99, init_std=0.5)).eval()
    ids, mask, counts = batch(t5_policy(t5, trainable=False))
    with torch.no_grad():
        together = run_pairs(bart, ids, mask, counts)[0].split(counts.sum(1).tolist())
        for n, expected in enumerate(together):
            alone = run_pairs(bart, *(x[n : n + 1][:, mask[n]] for x in (ids, mask, counts)))[0]
            torch.testing.assert_close(alone, expected, atol=1e-5, rtol=1e-5)


def test_the_states_are_what_the_output_layer_is_given(t5: str):
    """Values are read from them, and no hook stays behind."""
    policy = t5_policy(t5, trainable=False)
    with torch.no_grad():
        logits, hidden = policy.run(*batch(policy))
        torch.testing.assert_close(policy.lm.lm_head(hidden), logits)
    assert not policy.lm.get_decoder()._forward_hooks


@pytest.mark.parametrize("adapters", [True, False])
def test_sampling_draws_from_the_log_probabilities_that_are_trained(t5: str, adapters: bool):
    """Token by token with caches, rows leaving the batch as they end: each token is where the CDF passes its number."""
    policy = move(t5_policy(t5, lora=LORA if adapters else None), 0.3)
    prompts = [policy.encode_prompt(text, "", 128) for text in PROMPTS] * 8
    settings = SamplingConfig(24, temperature=1.3)
    uniform = draw_uniform(len(prompts), settings, torch.Generator().manual_seed(3))
    written = sample_responses(policy.lm, prompts, settings, uniform, 1, 0)
    end = Counter(token for row in written for token in row).most_common(1)[0][0]  # so that many rows end
    responses = sample_responses(policy.lm, prompts, settings, uniform, end, 0)
    assert len({len(row) for row in responses}) > 3 and any(row[-1] == end for row in responses)
    for prompt, response, numbers in zip(prompts, responses, uniform, strict=True):
        ids = torch.tensor([prompt + response])
        counts = torch.arange(ids.shape[1])[None] >= len(prompt)
        with torch.no_grad():
            shares = (policy.run(ids, torch.ones_like(counts), counts)[0] / 1.3).softmax(-1).double().cumsum(-1)
        for share, token, number in zip(shares, response, numbers, strict=False):
            assert (share[token - 1] if token else 0) - 1e-5 <= number <= share[token] + 1e-5


@pytest.mark.parametrize("lora", [LORA, None], ids=["adapters", "all weights"])
def test_the_reference_is_the_untouched_base(t5: str, lora: LoraConfig | None):
    policy = t5_policy(t5, lora=lora)
    given, plain = batch(policy), t5_policy(t5, lora=None, trainable=False)
    with torch.no_grad():
        before = plain.run(*given)[0]
        assert torch.equal(policy.run(*given)[0], before)
        move(policy, 0.1)
        assert torch.equal(policy.run(*given, reference=True)[0], before)
        assert (policy.run(*given)[0] - before).abs().max() > 0.01


@pytest.mark.parametrize("targets", ["attention", "all-linear"])
def test_adapters_of_the_last_layers_are_in_both_stacks(t5: str, targets: Any):
    policy = t5_policy(t5, lora=LoraConfig(r=2, alpha=2, targets=targets, layers=1))
    layers = {name.split(".lora_")[0].split("base_model.model.")[1] for name in policy.trainable()}
    assert {name.split(".layer.")[0] for name in layers} == {"encoder.block.1", "decoder.block.1"}
    kinds = {name.rsplit(".", 1)[-1] for name in layers}
    assert kinds == ({"q", "k", "v", "o"} if targets == "attention" else {"q", "k", "v", "o", "wi_0", "wi_1", "wo"})


def test_a_saved_policy_is_the_same_merged(t5: str, tmp_path: Path):
    policy = move(t5_policy(t5), 0.3)
    policy.save(tmp_path / "model")
    merged = load_merged(str(tmp_path / "model"), torch.float32)
    with torch.no_grad():
        expected = policy.run(*batch(policy))[0]
        torch.testing.assert_close(run_pairs(merged, *batch(policy))[0], expected, atol=1e-5, rtol=1e-5)


def test_checkpointed_layers_give_the_same_gradients(t5: str):
    gradients = []
    for saves in (False, True):
        policy = move(t5_policy(t5), 0.1)
        policy.gradient_checkpointing = saves
        policy.run(*batch(policy))[0].square().sum().backward()
        gradients.append({name: p.grad.clone() for name, p in policy.trainable().items() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys() and len(gradients[0]) > 8
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-6, rtol=1e-5)


def test_prompts_are_read_as_text_with_the_tokenizers_eos(t5: str):
    """Without a chat template: system prompt and message set apart by an empty line, then id 1."""
    policy = t5_policy(t5, trainable=False)
    ids = policy.encode_prompt("Why?", "Be kind.", 128)
    assert policy.tokenizer.decode(ids[:-1]) == "Be kind.\n\nWhy?" and ids[-1] == policy.tokenizer.eos_token_id == 1
    with pytest.raises(ModelError, match="the prompt has 15 tokens"):  # 8 + 2 + 4 bytes and eos
        policy.encode_prompt("Why?", "Be kind.", 14)
    assert policy.encode_response("No") == [*policy.tokenizer("No")["input_ids"]]
    assert policy.decode_response(policy.encode_response("No")) == "No"


def test_a_separate_value_model_reads_the_decoder(t5: str):
    policy = t5_policy(t5)
    value_model = ValueModel(policy, separate=True)
    ids, mask, counts = batch(policy)
    with torch.no_grad():
        value_model.head.weight.fill_(1.0)
        values = value_model(ids, mask, counts, torch.zeros(int(counts.sum()), policy.width))
        _, hidden = policy.run(ids, mask, counts)
    torch.testing.assert_close(values, hidden.sum(-1), atol=1e-5, rtol=1e-5)


def test_a_model_that_does_not_say_what_its_decoder_starts_with_is_refused(t5: str):
    policy = t5_policy(t5, trainable=False)
    policy.lm.config.decoder_start_token_id = None
    with pytest.raises(ModelError, match="T5ForConditionalGeneration: does not say what its decoder starts with"):
        policy.run(*batch(policy))
