"""One side of a playground: an answer that grows token by token, drawn as every other answer of the project is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from rlhf_core.data.contenders import BestOf
from rlhf_core.errors import ModelError
from rlhf_core.models.policy import Policy
from rlhf_core.models.sampling import SamplingConfig, draw_uniform, sample_steps
from rlhf_core.playground.protocol import Done, Request, Text

NEARLY_NOTHING = 1e-9
"""A nucleus of less than any token's probability is that of the likeliest token alone."""
HALF_A_CHARACTER = "\ufffd"
"""What a tokenizer makes of bytes that are no whole character, or not yet."""

Choose = Callable[[list[str]], int]


def drawing(request: Request) -> SamplingConfig:
    """Return how a request is drawn; the sampler knows no temperature of 0, but its limit: the likeliest token."""
    if request.temperature == 0:
        return SamplingConfig(request.max_new_tokens, 1.0, NEARLY_NOTHING)
    return SamplingConfig(request.max_new_tokens, request.temperature, request.top_p)


def text_so_far(policy: Policy, ids: list[int]) -> str:
    """Return the text of an unfinished response without the beginning of a character at its end."""
    return policy.decode_response(ids).rstrip(HALF_A_CHARACTER)


@dataclass(frozen=True)
class Side:
    """Who writes on which side: a policy, and for best-of-n how many answers there are and what chooses among them."""

    number: int
    policy: Policy
    best: BestOf | None = None
    choose: Choose = lambda texts: 0


class Writer:
    """Writes the answer of one side to a request, a token at a time.

    Raises:
        ModelError: conversation and answer do not fit the model's context.
    """

    def __init__(self, request: Request, side: Side, prompt: list[int]) -> None:
        policy, config = side.policy, drawing(request)
        if len(prompt) + request.max_new_tokens > policy.context:
            raise ModelError(
                f"{len(prompt)} tokens of conversation and {request.max_new_tokens} new ones do not fit the model's context of "
                f"{policy.context} tokens",
                where=request.contenders[side.number],
                remedy="Ask for fewer new tokens, shorten the message, or start anew",
            )
        self.request, self.side = request, side
        rows = side.best.n if side.best else 1
        uniform = draw_uniform(rows, config, torch.Generator().manual_seed(request.seed))
        tokenizer = policy.tokenizer
        self._steps = sample_steps(
            policy.sampler(), [prompt] * rows, config, uniform, tokenizer.eos_token_id, tokenizer.pad_token_id
        )
        self._responses: list[list[int]] = [[]]
        self._begun = self._first = 0.0

    @property
    def tokens(self) -> int:
        """How many tokens there are so far; of best-of-n of its longest answer."""
        return max(map(len, self._responses))

    def step(self) -> Text | None:
        """Write one more token; return what there is now, or None where nothing more comes."""
        self._begun = self._begun or time.perf_counter()
        responses = next(self._steps, None)
        if responses is None:
            return None
        self._responses = responses
        self._first = self._first or time.perf_counter() - self._begun
        text = "" if self.side.best else text_so_far(self.side.policy, responses[0])
        return Text(id=self.request.id, side=self.side.number, text=text, tokens=self.tokens)

    def done(self) -> Done:
        """Return the whole answer: of best-of-n the chosen one."""
        policy = self.side.policy
        texts = [policy.decode_response(ids) for ids in self._responses]
        chosen = self.side.choose(texts) if self.side.best else 0
        ids = self._responses[chosen]
        return Done(
            id=self.request.id, side=self.side.number, text=texts[chosen], tokens=len(ids),
            finished=ids[-1] == policy.tokenizer.eos_token_id, first_seconds=self._first,
            seconds=time.perf_counter() - self._begun,
        )  # fmt: skip
