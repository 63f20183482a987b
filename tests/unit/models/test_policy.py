"""The policy: padding, dropout, its reference, its values, and its way to disk and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from rlhf_core.config import LoraConfig, PolicyConfig
from rlhf_core.errors import ModelError
from rlhf_core.models.device import choose_dtype
from rlhf_core.models.forward import run_responses
from rlhf_core.models.lora import add_adapters, attention_layers
from rlhf_core.models.policy import (
    Policy,
    ValueModel,
    fingerprint_of,
    load_merged,
    load_policy,
)
from rlhf_core.models.sources import load_tokenizer, resolve
from rlhf_core.ops.logprobs import token_logprobs
from rlhf_core.ops.masking import spread
from rlhf_core.ops.text_masks import pad_rows
from tests.engine import LORA, move, tiny_policy

PROMPT, RESPONSE = list(b"tell me"), list(b"why not")
ALL = torch.tensor([[False] * len(PROMPT) + [True] * len(RESPONSE)])
KINDS = [LORA, LoraConfig(r=4, alpha=8, targets="all-linear", layers=1), None]


def logprobs(policy: Policy, prompts: list[list[int]], responses: list[list[int]], extra: int = 0) -> Tensor:
    """Log-probabilities of responses, with `extra` columns of padding on both sides."""
    pad = policy.tokenizer.pad_token_id
    left, left_mask = pad_rows([*prompts, [1] * (max(map(len, prompts)) + extra)], pad, left=True)
    right, right_mask = pad_rows([*responses, [1] * (max(map(len, responses)) + extra)], pad, left=False)
    ids, mask = torch.cat([left, right], 1)[:-1], torch.cat([left_mask, right_mask], 1)[:-1]
    with torch.no_grad():
        counts = torch.cat([torch.zeros_like(left_mask), right_mask], 1)[:-1]
        logits, _ = run_responses(policy.lm, ids, mask, counts)
    return spread(token_logprobs(logits, right[:-1][right_mask[:-1]], 1.0), right_mask[:-1])


def test_pad_is_never_eos():
    """Claim 1."""
    tokenizer = tiny_policy(trainable=False).tokenizer
    assert tokenizer.pad_token_id != tokenizer.eos_token_id


def test_a_tokenizer_whose_pad_is_its_eos_gets_a_pad_of_its_own(tmp_path: Path):
    """Claim 1: and the language model is told of it."""
    policy = tiny_policy(trainable=False)
    policy.tokenizer.pad_token = policy.tokenizer.eos_token
    policy.tokenizer.save_pretrained(tmp_path)
    policy.lm.save_pretrained(tmp_path)
    loaded = load_policy(tmp_path, PolicyConfig(), trainable=False)
    assert loaded.tokenizer.pad_token == "<|endoftext|>"
    assert loaded.lm.config.pad_token_id == loaded.tokenizer.pad_token_id != loaded.tokenizer.eos_token_id


def test_a_tokenizer_without_a_spare_token_is_refused(tmp_path: Path):
    policy = tiny_policy(trainable=False)
    policy.tokenizer.eos_token = policy.tokenizer.pad_token = "<|endoftext|>"
    policy.tokenizer.save_pretrained(tmp_path)
    policy.lm.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"no token that could serve as padding.*Add a pad token"):
        load_tokenizer(tmp_path)


def test_response_log_probabilities_do_not_depend_on_padding():
    """Claim 2: alone, beside longer neighbours, and with seven more columns on both sides."""
    policy = tiny_policy()
    alone = logprobs(policy, [PROMPT], [RESPONSE])[0]
    beside = logprobs(policy, [PROMPT, [5] * 30], [RESPONSE, [6] * 20])[0, : len(RESPONSE)]
    padded = logprobs(policy, [PROMPT], [RESPONSE], extra=7)[0, : len(RESPONSE)]
    torch.testing.assert_close(beside, alone, atol=1e-4, rtol=0)
    torch.testing.assert_close(padded, alone, atol=1e-4, rtol=0)


def test_padding_is_no_position_for_a_model_that_learns_each_position():
    """Claim 2: rotary positions are relative and would hide a wrong count; a GPT-2 has a vector for every one."""
    sizes = {"vocab_size": 300, "n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64}
    torch.manual_seed(0)
    lm = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)).eval()
    with torch.no_grad():
        lm.transformer.wpe.weight.normal_(0, 1)
        plain = lm(torch.tensor([PROMPT + RESPONSE])).logits[:, len(PROMPT) - 1 : -1]
        ids, mask = pad_rows([PROMPT + RESPONSE, [5] * 30], 0, left=True)
        padded = run_responses(lm, ids, mask, torch.arange(30) >= torch.tensor([[30 - len(RESPONSE)], [30]]))[0]
    torch.testing.assert_close(padded, plain[0], atol=1e-4, rtol=0)


def test_log_probabilities_equal_those_of_a_plain_forward_pass():
    """Claim 2: the model called with nothing but ids, all positions kept, and softmax by torch."""
    policy = tiny_policy(trainable=False)
    plain = policy.lm(torch.tensor([PROMPT + RESPONSE])).logits[0].log_softmax(-1)
    expected = [plain[len(PROMPT) + n - 1, token].item() for n, token in enumerate(RESPONSE)]
    assert logprobs(policy, [PROMPT], [RESPONSE])[0].tolist() == pytest.approx(expected, abs=1e-5)


def test_hidden_states_and_logits_are_of_the_same_positions():
    policy = tiny_policy(trainable=False)
    ids, mask = pad_rows([PROMPT + RESPONSE], 0, left=True)
    logits, hidden = run_responses(policy.lm, ids, mask, ALL)
    assert hidden.shape == (len(RESPONSE), policy.width)
    torch.testing.assert_close(policy.lm.lm_head(hidden), logits)


@pytest.mark.parametrize("separate", [False, True])
def test_dropout_is_off_even_where_the_model_asks_for_it(separate: bool, tmp_path: Path):
    """Claim 5: two passes of policy, reference and values agree bit for bit."""
    plain = tiny_policy(trainable=False)
    plain.lm.config.attention_dropout = 0.5
    plain.lm.save_pretrained(tmp_path)
    plain.tokenizer.save_pretrained(tmp_path)
    policy = load_policy(tmp_path, PolicyConfig(dtype="float32", lora=LORA), trainable=True)
    values = ValueModel(policy, separate=separate)
    nn.init.normal_(values.head.weight)
    ids, mask = pad_rows([PROMPT + RESPONSE], 0, left=True)

    def everything() -> list[Tensor]:
        logits, hidden = run_responses(policy.lm, ids, mask, ALL)
        with policy.reference() as lm:
            reference = run_responses(lm, ids, mask, ALL)[0]
        return [logits, reference, values(ids, mask, ALL, hidden)]

    assert all(torch.equal(a, b) for a, b in zip(everything(), everything(), strict=True))


@pytest.mark.parametrize("lora", KINDS)
def test_the_reference_is_the_untouched_base_whatever_the_policy_learns(lora: LoraConfig | None):
    """Claim 26: bitwise, before and after the policy has moved; the policy itself differs then."""
    untouched = logprobs(tiny_policy(lora, trainable=False), [PROMPT], [RESPONSE])
    policy = tiny_policy(lora)
    assert torch.equal(logprobs(policy, [PROMPT], [RESPONSE]), untouched)
    move(policy)
    mine = logprobs(policy, [PROMPT], [RESPONSE])
    ids, mask = pad_rows([PROMPT + RESPONSE], 0, left=True)
    with policy.reference() as lm, torch.no_grad():
        theirs = token_logprobs(run_responses(lm, ids, mask, ALL)[0], torch.tensor(RESPONSE), 1.0)
    assert torch.equal(theirs, untouched[0])
    assert not torch.allclose(mine, untouched, atol=1e-3)
    assert torch.equal(logprobs(policy, [PROMPT], [RESPONSE]), mine)  # the adapters are on again


@pytest.mark.parametrize("lora", KINDS[::2])
def test_over_a_bfloat16_base_the_policy_starts_equal_to_its_reference(lora: LoraConfig | None):
    """Claim 16: the KL at step 0 is exactly 0, so policy and frozen copy compute in the same precision."""
    policy = tiny_policy(lora, dtype="bfloat16")
    ids, mask = pad_rows([PROMPT + RESPONSE], 0, left=True)
    mine = run_responses(policy.lm, ids, mask, ALL)[0]
    with policy.reference() as lm:
        assert torch.equal(run_responses(lm, ids, mask, ALL)[0], mine)


@pytest.mark.parametrize("lora", KINDS)
def test_what_learns(lora: LoraConfig | None):
    """Claim 26: adapters alone (float32, over any base), or every weight; never the frozen copy."""
    policy = tiny_policy(lora, dtype="bfloat16")
    names = policy.trainable()
    assert all(("lora_" in name) == bool(lora) for name in names)
    assert all(p.dtype == torch.float32 for p in names.values())
    expected = {
        "attention": {"q_proj", "k_proj", "v_proj", "o_proj"},
        "all-linear": {"gate_proj", "up_proj", "down_proj"},
    }
    if lora:
        assert all(any(layer in name for name in names) for layer in expected[lora.targets])
        assert ("gate_proj" in " ".join(names)) == (lora.targets == "all-linear")
    assert not tiny_policy(lora, trainable=False).trainable()


@pytest.mark.parametrize("separate", [False, True])
def test_values_start_at_zero(separate: bool):
    """Claim 25: the head is zero, so every value is exactly 0."""
    policy = tiny_policy()
    ids, mask = pad_rows([PROMPT + RESPONSE], 0, left=True)
    hidden = run_responses(policy.lm, ids, mask, ALL)[1]
    assert not ValueModel(policy, separate=separate)(ids, mask, ALL, hidden).any()


def test_a_shared_head_reads_the_policys_states_and_a_separate_model_its_own():
    """Claim 26: garbage for states changes the shared values only."""
    policy = tiny_policy()
    ids, mask = pad_rows([PROMPT + RESPONSE], 0, left=True)
    hidden = run_responses(policy.lm, ids, mask, ALL)[1]
    for separate in (False, True):
        values = ValueModel(policy, separate=separate)
        nn.init.normal_(values.head.weight)
        assert torch.equal(values(ids, mask, ALL, hidden), values(ids, mask, ALL, hidden + 1)) == separate
        learns = {name.split(".")[0] for name, p in values.named_parameters() if p.requires_grad}
        assert learns == ({"head", "lm"} if separate else {"head"})


def test_a_separate_trunk_starts_as_the_policys_base():
    """Claim 26: with the same head, separate values equal shared ones at the start."""
    policy = tiny_policy()
    ids, mask = pad_rows([PROMPT + RESPONSE], 0, left=True)
    hidden = run_responses(policy.lm, ids, mask, ALL)[1]
    shared, separate = ValueModel(policy, separate=False), ValueModel(policy, separate=True)
    nn.init.normal_(shared.head.weight)
    separate.head.load_state_dict(shared.head.state_dict())
    assert torch.equal(shared(ids, mask, ALL, hidden), separate(ids, mask, ALL, hidden))


@pytest.mark.parametrize("lora", KINDS[::2])
def test_a_saved_policy_answers_as_before_and_becomes_the_next_reference(lora: LoraConfig | None, tmp_path: Path):
    """Claim 26: adapters merge on loading (equal up to rounding), and the loaded policy starts at its reference."""
    policy = move(tiny_policy(lora))
    policy.save(tmp_path / "sft")
    loaded = load_policy(tmp_path / "sft", PolicyConfig(dtype="float32", lora=lora), trainable=True)
    before = logprobs(policy, [PROMPT], [RESPONSE])
    after = logprobs(loaded, [PROMPT], [RESPONSE])
    torch.testing.assert_close(after, before, atol=1e-4, rtol=0)
    ids, mask = pad_rows([PROMPT + RESPONSE], 0, left=True)
    with loaded.reference() as lm, torch.no_grad():
        reference = token_logprobs(run_responses(lm, ids, mask, ALL)[0], torch.tensor(RESPONSE), 1.0)
    assert torch.equal(reference, after[0])


def test_a_saved_adapter_gives_the_same_logits_in_plain_peft_and_merged_in_plain_transformers(tmp_path: Path):
    """Claim 26: nothing of ours is needed to run what was trained, nor to merge it for good."""
    policy = move(tiny_policy())
    ids = torch.tensor([PROMPT + RESPONSE])
    with torch.no_grad():
        expected, base = policy.lm(ids).logits, AutoModelForCausalLM.from_pretrained(resolve("tiny")).eval()
        untuned = base(ids).logits
        policy.save(tmp_path / "adapter")
        adapted: Any = PeftModel.from_pretrained(base, str(tmp_path / "adapter")).eval()
        torch.testing.assert_close(adapted(ids).logits, expected, atol=1e-5, rtol=1e-5)
        adapted.merge_and_unload().save_pretrained(tmp_path / "merged")
        merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
        torch.testing.assert_close(merged(ids).logits, expected, atol=1e-4, rtol=1e-4)
    assert (expected - untuned).abs().max() > 0.1


def test_a_chain_of_adapters_survives_a_move_of_the_run(tmp_path: Path):
    """The tuned policy names the fine-tuned one by a relative path."""
    run = tmp_path / "run"
    move(tiny_policy()).save(run / "sft" / "model")
    tuned = load_policy(run / "sft" / "model", PolicyConfig(dtype="float32", lora=LORA), trainable=True)
    move(tuned, seed=2).save(run / "ppo" / "model")
    before = logprobs(tuned, [PROMPT], [RESPONSE])
    run.rename(tmp_path / "elsewhere")
    moved = load_policy(tmp_path / "elsewhere" / "ppo" / "model", PolicyConfig(dtype="float32"), trainable=False)
    torch.testing.assert_close(logprobs(moved, [PROMPT], [RESPONSE]), before, atol=1e-4, rtol=0)


def test_the_chat_format_opens_the_assistants_turn():
    policy = tiny_policy(trainable=False)
    text = policy.tokenizer.decode(policy.encode_prompt("Hi", "Be kind.", 100))
    assert text == "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert "system" not in policy.tokenizer.decode(policy.encode_prompt("Hi", "", 100))


def test_without_a_chat_template_turns_are_paragraphs():
    policy = tiny_policy(trainable=False)
    policy.tokenizer.chat_template = None
    assert policy.tokenizer.decode(policy.encode_prompt("Hi", "Be kind.", 100)) == "Be kind.\n\nHi\n\n"


def test_a_prompt_that_does_not_fit_is_refused_with_both_limits():
    policy = tiny_policy(trainable=False)
    # 13 bytes and two special tokens around "user\nHi", then "\n", <|im_start|> and "assistant\n": counted below
    tokens = 1 + len("user\nHi") + 1 + len("\n") + 1 + len("assistant\n")
    message = rf"the prompt has {tokens} tokens.*the limit is 8 .*'Hi'.*max_prompt_tokens.*own limit is 1024"
    with pytest.raises(ModelError, match=message):
        policy.encode_prompt("Hi", "", 8)


def test_responses_close_with_eos_and_come_back_as_text():
    """Claims 1 and 22: the eos is a token of the response and no part of its text."""
    policy = tiny_policy(trainable=False)
    ids = policy.encode_response("Tea, né? ☕")
    assert ids[-1] == policy.tokenizer.eos_token_id and policy.tokenizer.eos_token_id not in ids[:-1]
    assert policy.decode_response(ids) == "Tea, né? ☕"


def test_fingerprints_tell_models_apart_and_are_repeatable():
    policy = tiny_policy(trainable=False)
    first = fingerprint_of(policy.lm)
    assert first == fingerprint_of(load_merged("tiny", torch.float32))
    with torch.no_grad():
        next(policy.lm.parameters())[0, 0] += 1e-3
    assert fingerprint_of(policy.lm) != first


def test_a_model_without_known_attention_is_refused():
    with pytest.raises(ModelError, match=r"Sequential: has no attention layer by a known name.*all-linear"):
        attention_layers(nn.Sequential(nn.Linear(2, 2)))


def test_adapters_change_nothing_at_first():
    lm = load_merged("tiny", torch.float32)
    ids = torch.tensor([PROMPT])
    before = lm(ids).logits
    assert torch.equal(add_adapters(lm, LORA).eval()(ids).logits, before)


def test_dtype_by_name():
    assert choose_dtype("float32") == torch.float32 and choose_dtype("bfloat16") == torch.bfloat16
    assert choose_dtype("auto") in (torch.float32, torch.bfloat16)
