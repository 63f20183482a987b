"""Supervised fine-tuning: what the loss counts, accumulation, packing, early stop, and that it learns."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rlhf_core.config import LoraConfig, OptimConfig, SFTConfig
from rlhf_core.data.collate import Example, collate_packed, collate_padded
from rlhf_core.data.records import Message
from rlhf_core.errors import DataError
from rlhf_core.models.chat import reply_mask
from rlhf_core.models.policy import Policy
from rlhf_core.training import sft
from rlhf_core.training.optim import adamw, learning_rate, step_optimizer
from rlhf_core.training.sft import accumulate, batch_nll, check_lengths, held_out_loss, train_sft
from rlhf_core.training.supervised import batch_at
from tests.engine import LORA, examples, logged, make_stage, tiny_policy


def config(**fields: object) -> SFTConfig:
    small = {"epochs": 1, "batch_size": 4, "micro_batch_size": 2, "max_length": 200, "eval_every": 2}
    return SFTConfig.model_validate(small | {"optim": OptimConfig(lr=1e-2)} | fields)


def slow_nll(policy: Policy, example: Example) -> float:
    """−Σ log p of the response tokens, from one plain forward pass over one example."""
    ids, first = example.prompt + example.response, len(example.prompt)
    with torch.no_grad():
        logprobs = policy.lm(torch.tensor([ids])).logits[0].log_softmax(-1)
    earlier = [n for n, counts in enumerate(example.earlier_replies or []) if counts]
    return -sum(logprobs[n - 1, ids[n]].item() for n in [*earlier, *range(first, len(ids))])


def conversations(policy: Policy, count: int) -> list[Example]:
    """Return examples of one to three turns whose earlier replies count."""
    rows = []
    for n in range(count):
        turns = [Message(role="user", content=f"Question {n}?")]
        for k in range(n % 3):
            turns += [Message(role="assistant", content="Yes." * (k + 1)), Message(role="user", content="And?")]
        messages = policy.fit_prompt(turns, "", 200, "refuse")
        mask = reply_mask(policy.tokenizer, messages)
        rows.append(Example(policy.encode_prompt(turns, "", 200), policy.encode_response("No more."), mask))
    return rows


def gradients(policy: Policy, batch: list[Example], settings: SFTConfig) -> list[torch.Tensor]:
    policy.zero_grad()
    accumulate(policy, batch, settings)
    return [p.grad.clone() for p in policy.trainable().values() if p.grad is not None]


@pytest.mark.parametrize("collate", [collate_padded, lambda rows, pad: collate_packed(rows, pad, 160)])
def test_the_loss_is_that_of_the_response_tokens_alone(collate):
    """Claim 7: padded or packed, it equals the plain sum over examples one by one."""
    policy = tiny_policy()
    rows = examples(policy, 5)
    nll, count = batch_nll(policy, collate(rows, policy.tokenizer.pad_token_id))
    assert nll.item() == pytest.approx(sum(slow_nll(policy, row) for row in rows), rel=1e-4)
    assert int(count) == sum(len(row.response) for row in rows)


@pytest.mark.parametrize("collate", [collate_padded, lambda rows, pad: collate_packed(rows, pad, 200)])
def test_the_loss_is_that_of_all_replies_when_they_are_marked(collate):
    """Claim 7: the tiny tokenizer has a token a byte, so an earlier `Yes.` and its eos are 5 tokens, `Yes.Yes.` 9."""
    policy = tiny_policy()
    rows = conversations(policy, 3)
    nll, count = batch_nll(policy, collate(rows, policy.tokenizer.pad_token_id))
    assert int(count) == 3 * 9 + 5 + (5 + 9)
    assert nll.item() == pytest.approx(sum(slow_nll(policy, row) for row in rows), rel=1e-4)


def test_earlier_replies_weigh_as_much_as_the_last():
    """Claim 7: the mean is over all 46 tokens that count, not over the 27 of the last replies."""
    policy = tiny_policy()
    rows = conversations(policy, 3)
    mean = sum(slow_nll(policy, row) for row in rows) / (3 * 9 + 5 + (5 + 9))
    assert accumulate(policy, rows, config()) == pytest.approx(mean, rel=1e-4)


@pytest.mark.parametrize("packing", [False, True])
@pytest.mark.parametrize("lora", [LORA, None])
def test_gradient_checkpointing_changes_no_gradient_and_keeps_less(packing: bool, lora: LoraConfig | None):
    """Bit for bit the same gradients; a layer's inner activations are not kept for the backward pass."""
    policy = tiny_policy(lora)
    rows, settings = examples(policy, 4), config(packing=packing)
    kept: dict[bool, list[int]] = {False: [], True: []}
    plain = []
    for on in (False, True):
        policy.gradient_checkpointing = on
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, seen=kept[on]: seen.append(t.numel()) or t, lambda t: t
        ):
            found = gradients(policy, rows, settings)
        plain = plain or found
    assert len(plain) > 1 and all(torch.equal(a, b) for a, b in zip(plain, found, strict=True))
    assert sum(kept[True]) < 0.5 * sum(kept[False])
    assert not any(module.training for module in policy.modules())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_full_fine_tuning_learns_in_float32_whatever_the_base_was_stored_in(dtype: str):
    """A step of 1e-6 is lost in bfloat16 (8 bits: 1 + 0.004 is the next number); every weight that has a gradient moves."""
    policy = tiny_policy(None, dtype=dtype)
    weights = policy.trainable()
    assert {w.dtype for w in weights.values()} == {torch.float32}
    before = {name: w.detach().clone() for name, w in weights.items()}
    settings = config(optim=OptimConfig(lr=1e-6, warmup_ratio=0.0))
    accumulate(policy, examples(policy, 4), settings)
    touched = {name: w.grad != 0 for name, w in weights.items() if w.grad is not None}
    step_optimizer(adamw(weights.values(), settings.optim), 1e-6, 1.0)
    assert touched.keys() == weights.keys()
    moved = sum(int((weights[name] != before[name])[mask].sum()) for name, mask in touched.items())
    assert moved > 0.9 * sum(int(mask.sum()) for mask in touched.values())
    with policy.reference() as lm:
        assert all(torch.equal(w, before[f"lm.{name}"]) for name, w in lm.named_parameters())


def test_the_prompts_length_does_not_weigh():
    """Claim 7: a batch's loss is the mean over response tokens; a prompt five times as long adds no token to it."""
    policy = tiny_policy()
    short, long = [Example([5, 6] * n, list(b"same reply")) for n in (3, 15)]
    both = (slow_nll(policy, short) + slow_nll(policy, long)) / 20  # 10 response tokens each
    assert accumulate(policy, [short, long], config()) == pytest.approx(both, rel=1e-4)


@pytest.mark.parametrize("packing", [False, True])
@pytest.mark.parametrize("make", [examples, conversations])
def test_accumulation_changes_nothing(packing: bool, make: Callable[[Policy, int], list[Example]]):
    """Claim 8: 1 × 8 equals 8 × 1, though micro-batches hold different numbers of tokens."""
    policy = tiny_policy()
    rows = make(policy, 8)
    one = gradients(policy, rows, config(batch_size=8, micro_batch_size=8, packing=packing))
    eight = gradients(policy, rows, config(batch_size=8, micro_batch_size=1, packing=packing))
    assert any(g.abs().max() > 1e-3 for g in one)
    for a, b in zip(one, eight, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_packing_changes_no_gradient():
    """Claim 7."""
    policy = tiny_policy()
    rows = examples(policy, 4)
    apart, packed = (gradients(policy, rows, config(packing=packing)) for packing in (False, True))
    for a, b in zip(apart, packed, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_held_out_loss_is_the_mean_over_tokens_of_all_batches():
    """Claim 8: 20 examples are two batches of evaluation, the second a short one."""
    policy = tiny_policy()
    rows = examples(policy, 20)
    tokens = sum(len(row.response) for row in rows)
    assert held_out_loss(policy, rows) == pytest.approx(sum(slow_nll(policy, r) for r in rows) / tokens, rel=1e-4)


def test_training_learns_and_logs_what_it_did(tmp_path: Path):
    """Claim 8: held-out loss falls, perplexity is its exponential, the rate warms up and decays."""
    policy, stage = tiny_policy(), make_stage(tmp_path, "sft")
    rows, settings = examples(policy, 12), config(epochs=3, optim=OptimConfig(lr=1e-2, warmup_ratio=0.2))
    train_sft(policy, rows[:10], rows[10:], settings, stage)
    log = logged(stage)
    held_out = [row for row in log if "eval/loss" in row]
    assert [row["step"] for row in held_out] == [0, 2, 4, 6, 8, 9]  # ⌈10/4⌉·3 = 9 steps
    assert held_out[-1]["eval/loss"] < held_out[0]["eval/loss"] - 0.2
    assert all(row["eval/perplexity"] == pytest.approx(math.exp(row["eval/loss"])) for row in held_out)
    steps = [row for row in log if "train/loss" in row]
    assert [row["optim/lr"] for row in steps] == [learning_rate(n, 9, settings.optim) for n in range(9)]
    assert all(row["optim/grad_norm"] > 0 for row in steps)
    assert held_out_loss(policy, rows[10:]) == pytest.approx(min(row["eval/loss"] for row in held_out), rel=1e-5)


def test_training_stops_when_held_out_loss_stops_falling_and_keeps_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Claim 8: losses 5, 3, 4, 4 with a patience of 2 end the run at the third evaluation; the weights are those of the first."""
    policy, stage = tiny_policy(), make_stage(tmp_path, "sft")
    losses, seen = iter([5.0, 3.0, 4.0, 4.0, 1.0]), []

    def fake(now: Policy, held_out: object) -> float:
        seen.append(next(iter(now.trainable().values())).detach().clone())
        return next(losses)

    monkeypatch.setattr(sft, "held_out_loss", fake)
    rows = examples(policy, 20)
    train_sft(policy, rows, rows[:1], config(epochs=4, patience=2), stage)
    assert [row["step"] for row in logged(stage) if "eval/loss" in row] == [0, 2, 4, 6]
    final = next(iter(policy.trainable().values()))
    assert torch.equal(final, seen[1]) and not torch.equal(final, seen[3])


def test_every_example_is_used_once_an_epoch_in_a_fresh_order(tmp_path: Path):
    """Claim 24."""
    stage, rows = make_stage(tmp_path, "sft"), [Example([n], [n]) for n in range(10)]
    epochs = [[e.prompt[0] for step in range(3) for e in batch_at(rows, k * 3 + step, 4, stage)] for k in range(2)]
    assert all(sorted(order) == list(range(10)) for order in epochs)
    assert epochs[0] != epochs[1]


def test_examples_that_do_not_fit_are_listed():
    rows = [Example([1] * 10, [2] * 5), Example([1], [2]), Example([1] * 20, [2])]
    with pytest.raises(DataError, match=r"longer than sft\.max_length = 14: d0 \(15 tokens\), d2 \(21 tokens\)"):
        check_lengths(rows, ["d0", "d1", "d2"], 14)
    check_lengths(rows, ["d0", "d1", "d2"], 21)
