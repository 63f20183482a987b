"""Sampling with a cache, against sampling one token at a time with no cache, no batch and no padding."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rlhf_core.models.policy import Policy
from rlhf_core.models.sampling import SamplingConfig, draw_uniform, sample_responses, sample_steps
from tests.engine import tiny_policy

PROMPTS = [list(b"tell me"), [7], list(b"a much longer prompt than that")]
CONFIG = SamplingConfig(max_new_tokens=12, temperature=0.8)


@pytest.fixture(scope="module")
def policy() -> Policy:
    """The tiny policy, with its logits spread wide enough that some tokens are likely and others are not."""
    made = tiny_policy(trainable=False)
    with torch.no_grad():
        made.lm.model.norm.weight.mul_(4)
    return made


def slowly(policy: Policy, prompt: list[int], config: SamplingConfig, uniform: Tensor, eos: int) -> list[int]:
    """Run the whole sequence again for every token, and walk along the cumulative sum of its probabilities."""
    response: list[int] = []
    for number in uniform.tolist():
        with torch.no_grad():
            logits = policy.lm(torch.tensor([prompt + response])).logits[0, -1]
        cumulative = (logits / config.temperature).softmax(-1).cumsum(-1).tolist()
        response.append(next(token for token, total in enumerate(cumulative) if total > number))
        if response[-1] == eos:
            break
    return response


def fast(
    policy: Policy, prompts: list[list[int]], config: SamplingConfig, uniform: Tensor, eos: int
) -> list[list[int]]:
    return sample_responses(policy.lm, prompts, config, uniform, eos, policy.tokenizer.pad_token_id)


def eos_among(responses: list[list[int]]) -> int:
    """A token that stands in the middle of one response and not in the first: as eos it ends rows at different steps."""
    return next(t for t in responses[2][2:6] if t not in responses[2][:2] and t not in responses[0])


def test_the_cache_the_batch_and_the_padding_change_nothing(policy: Policy):
    """Claims 2 and 3: at T = 0.8, with rows that end at different steps and leave the batch."""
    uniform = draw_uniform(3, CONFIG, torch.Generator().manual_seed(4))
    eos = eos_among(fast(policy, PROMPTS, CONFIG, uniform, eos=-1))
    found = fast(policy, PROMPTS, CONFIG, uniform, eos)
    assert found == [slowly(policy, p, CONFIG, u, eos) for p, u in zip(PROMPTS, uniform, strict=True)]
    assert len(found[2]) < len(found[0]) == 12  # some row did end, and another did not
    # With that row in front the others move up in the batch, and keep their own random numbers.
    assert fast(policy, PROMPTS[::-1], CONFIG, uniform.flip(0), eos) == found[::-1]


def test_a_finished_response_holds_its_eos_and_nothing_after(policy: Policy):
    """Claim 1."""
    uniform = draw_uniform(3, CONFIG, torch.Generator().manual_seed(4))
    unending = fast(policy, PROMPTS, CONFIG, uniform, eos=-1)
    eos = eos_among(unending)
    row = fast(policy, PROMPTS, CONFIG, uniform, eos)[2]
    assert row == unending[2][: unending[2].index(eos) + 1]


def test_the_same_numbers_give_the_same_response_in_any_company(policy: Policy):
    """Claims 6 and 30: one stream of numbers a row, so a row's answer is its own."""
    uniform = draw_uniform(3, CONFIG, torch.Generator().manual_seed(5))
    together = fast(policy, PROMPTS, CONFIG, uniform, eos=-1)
    for n, prompt in enumerate(PROMPTS):
        assert fast(policy, [prompt], CONFIG, uniform[n : n + 1], eos=-1) == [together[n]]


def test_sampling_stops_when_every_row_has_ended(policy: Policy):
    uniform = draw_uniform(1, CONFIG, torch.Generator().manual_seed(6))
    first = fast(policy, PROMPTS[:1], CONFIG, uniform, eos=-1)[0][0]
    assert fast(policy, PROMPTS[:1], CONFIG, uniform, first) == [[first]]


def test_each_step_is_told_as_it_is_and_computed_only_when_asked_for(policy: Policy):
    """After step n each row that goes on has n tokens, and they are the first n of the whole response."""
    uniform = draw_uniform(3, CONFIG, torch.Generator().manual_seed(4))
    whole = fast(policy, PROMPTS, CONFIG, uniform, eos=-1)
    steps = sample_steps(policy.lm, PROMPTS, CONFIG, uniform, -1, policy.tokenizer.pad_token_id)
    for n in range(1, 5):
        assert next(steps) == [row[:n] for row in whole]
        assert torch.is_grad_enabled()  # between steps nothing of the sampler's is in force
    steps.close()


def test_a_small_nucleus_is_greedy(policy: Policy):
    """A mass below any probability keeps the single most likely token, whatever the numbers say."""
    config = SamplingConfig(max_new_tokens=3, top_p=1e-6)
    found = fast(policy, PROMPTS[:1], config, torch.rand(1, 3, generator=torch.Generator().manual_seed(0)), eos=-1)
    sequence = list(PROMPTS[0])
    for token in found[0]:
        with torch.no_grad():
            assert token == policy.lm(torch.tensor([sequence])).logits[0, -1].argmax()
        sequence.append(token)


def test_numbers_are_drawn_per_row_and_repeat_with_the_seed():
    first = draw_uniform(4, CONFIG, torch.Generator().manual_seed(1))
    assert first.shape == (4, 12) and first.min() >= 0 and first.max() < 1
    assert torch.equal(first, draw_uniform(4, CONFIG, torch.Generator().manual_seed(1)))
    assert not torch.equal(first, draw_uniform(4, CONFIG, torch.Generator().manual_seed(2)))
