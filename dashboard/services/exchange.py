"""One prompt and its two answers as far as they have come: a snapshot that each event of the worker turns into the next."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    """A request and where it stands. `doing` says what the worker is busy with before the first token; `missing` names
    scorers that cannot be had, with the reason."""

    request: Request
    answers: tuple[Answer, Answer]
    state: str = WAITING
    doing: str = "a process for the models"
    problem: str = ""
    missing: tuple[tuple[str, str], ...] = ()

    @property
    def active(self) -> bool:
        """Whether more is to come."""
        return self.state in (WAITING, WRITING)


def begin(request: Request, missing: tuple[tuple[str, str], ...] = (), doing: str = "") -> Exchange:
    """Return a request of which nothing has come yet."""
    first, second = (Answer(name) for name in request.contenders)
    exchange = Exchange(request, (first, second), missing=missing)
    return replace(exchange, doing=doing) if doing else exchange


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
