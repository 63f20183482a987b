"""A run's contenders in memory, and one prompt answered by two of them in turn, token by token, scored on the way."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from rlhf_core.config import PipelineConfig
from rlhf_core.data.contenders import parse_best_of
from rlhf_core.errors import RunError
from rlhf_core.models.policy import Policy
from rlhf_core.playground.contenders import contenders_of
from rlhf_core.playground.protocol import Done, End, Event, Loading, Request, Scores, Text
from rlhf_core.playground.scoring import Scoring
from rlhf_core.playground.writer import Side, Writer
from rlhf_core.stages import contender_source, encode_asked, run_policy

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
            ModelError: the prompt is too long, or a model cannot be had.
        """
        writers = [self._writer(number, request) for number in range(len(request.contenders))]
        going = list(writers)
        while going and not stopped():
            going = [writer for writer in going if self._goes_on(writer, request)]
        self.tell(End(id=request.id, stopped=bool(going)))

    def _goes_on(self, writer: Writer, request: Request) -> bool:
        text = writer.step()
        if text is None:
            done = writer.done()
            self.tell(done)
            self._score(request, done)
            return False
        self.tell(text)
        if text.text and text.tokens % SCORE_EVERY == 0:
            self._score(request, text)
        return True

    def _score(self, request: Request, said: Text | Done) -> None:
        scores = self._scorers().measure(request.transcript, said.text)
        self.tell(Scores(id=request.id, side=said.side, tokens=said.tokens, scores=scores))

    def _writer(self, number: int, request: Request) -> Writer:
        name = request.contenders[number]
        self._refuse_missing(name)
        policy, best, scorers = self._policy(name), parse_best_of(name), self._scorers()
        prompt = encode_asked(policy, self.config, request)
        return Writer(
            request, Side(number, policy, best, lambda texts: scorers.best(request.transcript, texts)), prompt
        )

    def _scorers(self) -> Scoring:
        if self._scoring is None:
            self._scoring = Scoring(self.config, self.tell)
        return self._scoring

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
