"""A rollout: what is sampled is what is judged, at one temperature, whatever the padding."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import pytest
import torch

from rlhf_core.config import LoraConfig, PPOConfig
from rlhf_core.models.policy import Policy, ValueModel
from rlhf_core.models.sampling import SamplingConfig
from rlhf_core.training.rollout import Rollout, Sampled, assemble, judge, minibatches, sample
from tests.engine import LORA, episodes, move, ppo_config, tiny_policy, vowels

TOP = LoraConfig(r=4, alpha=8, layers=1)


def judged(policy: Policy, sampled: Sampled, config: PPOConfig, values: ValueModel | None = None) -> Rollout:
    """Judge responses to the first prompts."""
    rows = episodes(policy)[: len(sampled.responses)]
    scores = vowels([e.prompt for e in rows], sampled.texts)
    return judge(policy, values or ValueModel(policy, separate=False), rows, sampled, scores, config)


def given(policy: Policy, *responses: list[int]) -> Sampled:
    """Responses as if they had been sampled."""
    return Sampled(list(responses), [policy.decode_response(r) for r in responses])


def test_the_ids_judged_are_the_ids_sampled():
    """Claim 4: byte for byte, though as text some of them are not UTF-8 and would come back as other ids."""
    policy = tiny_policy()
    rows = episodes(policy)
    sampled = sample(policy, rows, SamplingConfig(8), torch.Generator().manual_seed(0))
    rollout = judged(policy, sampled, ppo_config())
    for n, response in enumerate(sampled.responses):
        assert rollout.responses[n][rollout.response_mask[n]].tolist() == response
        assert rollout.ids[n][rollout.mask[n]].tolist() == rows[n].ids + response
    again = [policy.tokenizer(text, add_special_tokens=False)["input_ids"] for text in sampled.texts]
    assert again != sampled.responses  # so a round trip through text would have been seen


def test_the_eos_counts_and_is_no_part_of_the_scored_text():
    """Claims 1 and 22: the reward model reads "Hi"; the response is three tokens, finished; the other one is not."""
    policy = tiny_policy()
    hi = policy.encode_response("Hi")
    rollout = judged(policy, given(policy, hi, policy.encode_response("Hello")[:-1]), ppo_config())
    assert given(policy, hi).texts == ["Hi"]
    assert rollout.response_mask.sum(1).tolist() == [3, 5]
    assert rollout.finished.tolist() == [True, False]


def test_a_response_may_hold_the_pad_token_before_its_end():
    """Claim 1: a policy can emit the pad; it counts like any other token."""
    policy = tiny_policy()
    pad, eos = policy.tokenizer.pad_token_id, policy.tokenizer.eos_token_id
    rollout = judged(policy, given(policy, [70, pad, eos], [70, 71, 72, 73]), ppo_config())
    assert rollout.response_mask[0].tolist() == [True, True, True, False]
    assert rollout.finished.tolist() == [True, False]


@pytest.mark.parametrize("lora", [LORA, TOP])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_log_probabilities_of_policy_and_reference_are_those_at_the_sampling_temperature(
    temperature: float, lora: LoraConfig
):
    """Claim 3, from one plain forward pass a row."""
    policy = move(tiny_policy(lora))
    sampled = given(policy, [70, 71, 72], [80])
    rollout = judged(policy, sampled, ppo_config(temperature=temperature))
    for n, response in enumerate(sampled.responses):
        ids = episodes(policy)[n].ids + response
        for mine, lm in ((rollout.logprobs, policy.lm), (rollout.reference, None)):
            with torch.no_grad(), policy.reference() if lm is None else adapters_on():
                plain = (policy.lm(torch.tensor([ids])).logits[0] / temperature).log_softmax(-1)
            expected = [plain[len(ids) - len(response) + k - 1, t].item() for k, t in enumerate(response)]
            assert mine[n, : len(response)].tolist() == pytest.approx(expected, abs=1e-4)
    assert not torch.allclose(rollout.logprobs, rollout.reference, atol=1e-3)


@pytest.mark.parametrize("lora", [LORA, TOP])
def test_micro_batches_and_neighbours_change_nothing(lora: LoraConfig):
    """Claims 2 and 24."""
    policy = move(tiny_policy(lora))
    sampled = given(policy, [70, 71, 72], [80], [90] * 6, [75, 76])
    whole = judged(policy, sampled, ppo_config(batch_size=4, minibatch_size=4, micro_batch_size=4))
    single = judged(policy, sampled, ppo_config(batch_size=4, minibatch_size=4, micro_batch_size=1))
    for name in ("logprobs", "reference", "values", "entropy"):
        torch.testing.assert_close(getattr(whole, name), getattr(single, name), atol=1e-5, rtol=1e-5)


def test_before_any_update_the_policy_is_its_reference():
    """Claim 16: bit for bit, so the KL is exactly 0."""
    policy = tiny_policy()
    rollout = judged(policy, given(policy, [70, 71, 72], [80]), ppo_config())
    assert torch.equal(rollout.logprobs, rollout.reference)


def test_entropy_is_that_of_the_distribution_and_zero_under_the_mask():
    """Claim 27: between 0 and ln 259 on response tokens."""
    policy = tiny_policy()
    rollout = judged(policy, given(policy, [70, 71, 72], [80]), ppo_config())
    counted = rollout.entropy[rollout.response_mask]
    assert (counted > 0).all() and (counted <= torch.tensor(259.0).log() + 1e-5).all()
    assert not rollout.entropy[~rollout.response_mask].any()


@pytest.mark.parametrize(("kl_coef", "kl_target", "runs"), [(0.0, None, False), (0.1, None, True), (0.0, 5.0, True)])
def test_without_a_price_the_reference_is_never_run(
    kl_coef: float, kl_target: float | None, runs: bool, monkeypatch: pytest.MonkeyPatch
):
    """Claim 23."""
    policy, calls = tiny_policy(), []
    plain = policy.reference

    @contextmanager
    def counted() -> Iterator[Any]:
        calls.append(1)
        with plain() as lm:
            yield lm

    monkeypatch.setattr(policy, "reference", counted)
    rollout = judged(policy, given(policy, [70, 71], [80]), ppo_config(kl_coef=kl_coef, kl_target=kl_target))
    assert bool(calls) == runs
    assert torch.equal(rollout.reference, rollout.logprobs)


def test_rows_drop_only_what_is_padding_in_all_of_them():
    policy = move(tiny_policy(TOP))
    rollout = judged(policy, given(policy, [70, 71, 72], [80], [90] * 6), ppo_config())
    part = rollout.rows(torch.tensor([1, 0]))
    prompts = [e.ids for e in episodes(policy)]
    assert part.ids.shape[1] == max(len(prompts[0]) + 3, len(prompts[1]) + 1)
    assert [ids[m].tolist() for ids, m in zip(part.ids, part.mask, strict=True)] == [
        [*prompts[1], 80],
        [*prompts[0], 70, 71, 72],
    ]
    assert part.responses[part.response_mask].tolist() == [80, 70, 71, 72]
    assert part.scores.tolist() == rollout.scores[[1, 0]].tolist()
    for name in ("logprobs", "reference", "values", "entropy"):
        assert torch.equal(getattr(part, name), getattr(rollout, name)[[1, 0], :3])
    shared = policy.below(part.ids, part.mask)
    assert shared is not None and part.below is not None
    torch.testing.assert_close(part.below[part.mask], shared[part.mask], atol=1e-5, rtol=1e-5)
    assert {f.name for f in fields(part)} == {f.name for f in fields(rollout)}


def test_a_response_stands_right_behind_its_prompt_and_padding_on_the_left():
    """Claim 2; the second response ends before its last column, and 9 is no part of it."""
    responses, counted = torch.tensor([[80, 81, 82], [70, 9, 9]]), torch.tensor([[True] * 3, [True, False, False]])
    ids, mask, counts = assemble([[5], [6, 7]], responses, counted, pad_id=0)
    assert ids.tolist() == [[5, 80, 81, 82], [0, 6, 7, 70]]
    assert mask.tolist() == [[True] * 4, [False, True, True, True]]
    assert counts.tolist() == [[False, True, True, True], [False, False, False, True]]


def test_every_row_is_in_one_minibatch_and_the_order_is_new_each_time():
    """Claim 24."""
    policy = tiny_policy()
    rollout = judged(policy, given(policy, *[[70 + n] for n in range(6)]), ppo_config())
    generator = torch.Generator().manual_seed(0)
    orders = [[int(n) for part in minibatches(rollout, 2, generator) for n in part] for _ in range(2)]
    assert all(sorted(order) == list(range(6)) for order in orders) and orders[0] != orders[1]
    assert all(len(part) == 2 for part in minibatches(rollout, 2, generator))


@contextmanager
def adapters_on() -> Iterator[None]:
    """The policy as it is."""
    yield
