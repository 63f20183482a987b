"""One message and its two answers as far as they have come: a snapshot that each event of the worker turns into the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rlhf_core.data.records import Message
from rlhf_core.errors import DataError
from rlhf_core.playground.protocol import (
    Done,
    End,
    Event,
    Failed,
    Loading,
    Missing,
    Ready,
    Request,
    Score,
    Scores,
    Text,
)

WAITING, WRITING, COMPLETE, STOPPED, FAILED = "waiting", "writing", "complete", "stopped", "failed"


@dataclass(frozen=True)
class Answer:
    """What one side has written. `scored` is how many of its tokens the scores are about; `done` once it is whole."""

    contender: str
    text: str = ""
    tokens: int = 0
    scores: tuple[Score, ...] = ()
    scored: int = 0
    done: Done | None = None


@dataclass(frozen=True)
class Exchange:
    """A request and where it stands. `doing` says what is being loaded before the first token, "" where all is there;
    `missing` names scorers that cannot be had, with the reason."""

    request: Request
    answers: tuple[Answer, Answer]
    state: str = WAITING
    doing: str = ""
    problem: str = ""
    missing: tuple[tuple[str, str], ...] = ()

    @property
    def active(self) -> bool:
        """Whether more is to come."""
        return self.state in (WAITING, WRITING)


@dataclass(frozen=True)
class Turn:
    """A message and the answer that the conversation goes on with: whose it is, and on which side, 0 or 1, it stood."""

    message: str
    side: int
    contender: str
    answer: str


def begin(request: Request, missing: tuple[tuple[str, str], ...] = (), doing: str = "") -> Exchange:
    """Return a request of which nothing has come yet."""
    first, second = (Answer(name) for name in request.contenders)
    return Exchange(request, (first, second), doing=doing, missing=missing)


def whole_answers(exchange: Exchange) -> list[Done]:
    """Return both answers once they are written.

    Raises:
        DataError: they are not.
    """
    answers = [answer.done for answer in exchange.answers if answer.done]
    if exchange.state != COMPLETE or len(answers) < 2:
        raise DataError("the answers are not whole", remedy="Let both come to their end first.")
    return answers


def turn_of(exchange: Exchange, side: int) -> Turn:
    """Return the turn that a conversation goes on with once both sides have answered.

    Raises:
        DataError: the answers are not whole, or this one is empty.
    """
    whole_answers(exchange)
    answer = exchange.answers[side]
    if not answer.text.strip():
        raise DataError(f"{answer.contender} wrote nothing to go on with", remedy="Take the other answer.")
    return Turn(exchange.request.prompt, side, answer.contender, answer.text)


def history_of(turns: Sequence[Turn]) -> list[Message]:
    """Return the turns of a conversation as a request takes them."""
    pairs = (
        (Message(role="user", content=turn.message), Message(role="assistant", content=turn.answer)) for turn in turns
    )
    return [message for pair in pairs for message in pair]


def advance(exchange: Exchange, event: Event) -> Exchange:
    """Return the exchange after an event; one of another request changes nothing."""
    if not exchange.active or getattr(event, "id", None) not in (None, exchange.request.id):
        return exchange
    match event:
        case Loading():
            return replace(exchange, doing=event.what)
        case Missing():
            return replace(exchange, missing=(*exchange.missing, (event.scorer, event.why)))
        case Text():
            return _on_side(exchange, event.side, text=event.text, tokens=event.tokens)
        case Scores():
            return _on_side(exchange, event.side, scores=event.scores, scored=event.tokens)
        case Done():
            return _on_side(exchange, event.side, text=event.text, tokens=event.tokens, done=event)
        case End():
            return replace(exchange, state=STOPPED if event.stopped else COMPLETE)
        case Failed():
            return failed(exchange, event.why)
        case Ready():
            return exchange


def failed(exchange: Exchange, why: str) -> Exchange:
    """Return the exchange come to nothing; what was written stays."""
    return replace(exchange, state=FAILED, problem=why)


def _on_side(exchange: Exchange, side: int, **changes: object) -> Exchange:
    answers = list(exchange.answers)
    answers[side] = replace(answers[side], **changes)
    return replace(exchange, answers=(answers[0], answers[1]), state=WRITING)
