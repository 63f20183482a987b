"""A run's contenders in memory, and one message answered by two of them in turn, token by token, scored on the way."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from rlhf_core.config import PipelineConfig
from rlhf_core.data.contenders import parse_best_of
from rlhf_core.errors import ModelError, RunError
from rlhf_core.models.chat import chat_messages, chat_text, takes_system_prompt, token_ids
from rlhf_core.models.policy import Policy
from rlhf_core.playground.contenders import contenders_of
from rlhf_core.playground.protocol import Done, End, Event, Loading, Request, Scores
from rlhf_core.playground.scoring import Scoring
from rlhf_core.playground.writer import Side, Writer
from rlhf_core.stages import contender_source, run_policy

SCORE_EVERY = 8
"""Tokens of a side between two looks of the scorers."""


class Playground:
    """Answers requests; models and scorers are loaded when they are first needed, and kept.

    `tell` is called with what happens, in order.
    """

    def __init__(self, config: PipelineConfig, tell: Callable[[Event], None]) -> None:
        self.config, self.tell = config, tell
        self.policies: dict[str, Policy] = {}
        self._scoring: Scoring | None = None

    def answer(self, request: Request, stopped: Callable[[], bool] = lambda: False) -> None:
        """Let both contenders answer, in turn a token each, until both are done or `stopped` says so.

        Raises:
            RunError: a contender is unknown, or its model is not there yet.
            ModelError: the conversation is too long, a model takes no system prompt or cannot be had.
        """
        for name in request.contenders:
            self._refuse_missing(name)
        policies = [self._policy(name) for name in request.contenders]
        self._scoring = scoring = self._scoring or Scoring(self.config, self.tell)
        writers = [self._writer(number, policy, request, scoring) for number, policy in enumerate(policies)]
        going = writers
        while going and not stopped():
            going = [writer for writer in going if self._goes_on(writer, scoring)]
        self.tell(End(id=request.id, stopped=bool(going)))

    def _writer(self, number: int, policy: Policy, request: Request, scoring: Scoring) -> Writer:
        best = parse_best_of(request.contenders[number])
        side = Side(number, policy, best, lambda texts: scoring.best(request.transcript, texts))
        return Writer(request, side, self._encoded(policy, request, request.contenders[number]))

    def _encoded(self, policy: Policy, request: Request, name: str) -> list[int]:
        """The token ids of the whole conversation: nothing of what the page shows is forgotten, however long it has become."""
        system = request.system_prompt
        if system and not takes_system_prompt(policy.tokenizer):
            raise ModelError(
                "the chat template of this model takes no system prompt",
                where=name,
                value=system,
                remedy="Clear the system prompt, or say it in the message",
            )
        messages = chat_messages(request.conversation, system or self.config.policy.system_prompt)
        return token_ids(policy.tokenizer, chat_text(policy.tokenizer, messages))

    def _goes_on(self, writer: Writer, scoring: Scoring) -> bool:
        """Let a side write a token; False where its answer was whole before."""
        said = writer.step() or writer.done()
        self.tell(said)
        whole = isinstance(said, Done)
        if whole or (said.text and said.tokens % SCORE_EVERY == 0):
            scores = scoring.measure(writer.request.transcript, said.text)
            self.tell(Scores(id=said.id, side=said.side, tokens=said.tokens, scores=scores))
        return not whole

    def _policy(self, name: str) -> Policy:
        source = contender_source(self.config, name)
        if source not in self.policies:
            self.tell(Loading(what=f"the model of {name}"))
            policy = run_policy(self.config, source, trainable=False)
            for other in self.policies.values():
                share_weights(policy.lm, other.lm)
            self.policies[source] = policy
        return self.policies[source]

    def _refuse_missing(self, name: str) -> None:
        known = contenders_of(self.config.model_dump(mode="json"), self.config.run_path)
        found = next((one for one in known if one.name == name), None)
        if found is None:
            names = ", ".join(one.name for one in known)
            raise RunError("no such contender", where=self.config.run_path, value=name, remedy=f"There are: {names}")
        if found.lacks:
            raise RunError(f"{name} is not there yet", where=self.config.run_path, remedy=found.remedy)


@torch.no_grad()
def share_weights(model: nn.Module, other: nn.Module) -> None:
    """Let `model` use the memory of `other` for every weight that is the same in both; neither may be trained after.

    Contenders of a run differ in the layers that were adapted: the others are kept once.
    """
    known = dict(other.named_parameters())
    for name, weight in model.named_parameters():
        twin = known.get(name)
        if twin is not None and twin.dtype == weight.dtype and torch.equal(twin, weight):
            weight.data = twin.data
