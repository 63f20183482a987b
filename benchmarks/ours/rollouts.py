"""Our sampling, and the machine's ceiling for it."""

from __future__ import annotations

import time

import torch

from benchmarks.work import Work, random_prompts
from rlhf_core.config import PolicyConfig
from rlhf_core.models.policy import Policy, load_policy
from rlhf_core.models.sampling import SamplingConfig, draw_uniform, sample_responses

NEVER = -1  # an eos that no vocabulary holds: every response has its full length
WARM_UP = 4  # tokens


def sampled(work: Work) -> tuple[int, float]:
    """Sample a batch of responses `steps` times; return (new tokens, seconds)."""
    policy = _policy(work)
    prompts = random_prompts(work, work.batch)
    _sample(policy, prompts, WARM_UP)
    started = time.perf_counter()
    made = sum(len(row) for _ in range(work.steps) for row in _sample(policy, prompts, work.response))
    return made, time.perf_counter() - started


@torch.no_grad()
def ceiling(work: Work) -> tuple[int, float]:
    """Do the matrix products of `response` decoding steps and nothing else; return (tokens, seconds).

    Every linear layer of the model, the output layer included, multiplies one vector a row of the batch.
    """
    linear = [m.weight for m in _policy(work).lm.modules() if isinstance(m, torch.nn.Linear)]
    entering = {width: torch.randn(work.batch, width, dtype=linear[0].dtype) for width in {w.shape[1] for w in linear}}

    def decode_steps(count: int) -> None:
        for _ in range(count):
            for weight in linear:
                torch.nn.functional.linear(entering[weight.shape[1]], weight)

    decode_steps(WARM_UP)
    started = time.perf_counter()
    decode_steps(work.response)
    return work.batch * work.response, time.perf_counter() - started


def _policy(work: Work) -> Policy:
    return load_policy(work.model, PolicyConfig(model=work.model, dtype=work.dtype), trainable=False)


def _sample(policy: Policy, prompts: list[list[int]], tokens: int) -> list[list[int]]:
    config = SamplingConfig(tokens)
    uniform = draw_uniform(len(prompts), config, torch.Generator().manual_seed(0))
    return sample_responses(policy.lm, prompts, config, uniform, NEVER, policy.tokenizer.pad_token_id)
