"""What a page and the worker of a playground say to each other: a JSON object a line, requests one way, events the other."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError, field_validator

from rlhf_core.data.io import explain, parse_json
from rlhf_core.data.records import Asked, Id, Record
from rlhf_core.errors import DataError, shorten

MOST_TOKENS = 1024
LARGEST_SEED = 2**32 - 1


class Request(Asked):
    """One message for two contenders, with the turns before it. Both draw the same random numbers.

    `system_prompt` stands in for the run's own, which goes with the message where it is empty. A temperature of 0 takes the
    likeliest token.
    """

    contenders: tuple[Id, Id]
    system_prompt: Annotated[str, StringConstraints(strip_whitespace=True)] = ""
    temperature: float = Field(ge=0, le=5, allow_inf_nan=False)
    top_p: float = Field(default=1.0, gt=0, le=1)
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    max_new_tokens: int = Field(ge=1, le=MOST_TOKENS)

    @field_validator("contenders")
    @classmethod
    def _two(cls, names: tuple[str, str]) -> tuple[str, str]:
        if names[0] == names[1]:
            raise ValueError("a contender cannot be compared with itself")
        return names


class Stop(Record):
    """An end to the request of that id."""

    stop: Id


class Loading(Record):
    """The worker is busy with `what` and writes nothing yet."""

    event: Literal["loading"] = "loading"
    what: str


class Ready(Record):
    """The worker takes requests."""

    event: Literal["ready"] = "ready"


class Missing(Record):
    """A scorer that cannot be had; the answers come without it."""

    event: Literal["missing"] = "missing"
    scorer: str
    why: str


class Text(Record):
    """What a side, 0 or 1, has written so far; nothing of best-of-n before its best is chosen."""

    event: Literal["text"] = "text"
    id: str
    side: int
    text: str
    tokens: int


class Score(Record):
    """What a scorer says, by the names that `evaluation/scores.json` has for it."""

    scorer: str
    measure: str
    value: float


class Scores(Record):
    """What all scorers say of a side's first `tokens` tokens."""

    event: Literal["scores"] = "scores"
    id: str
    side: int
    tokens: int
    scores: tuple[Score, ...]


class Done(Record):
    """A side's whole answer. Seconds count from the first token's work on; both sides write in turn."""

    event: Literal["done"] = "done"
    id: str
    side: int
    text: str
    tokens: int
    finished: bool
    first_seconds: float
    seconds: float


class End(Record):
    """Nothing more comes of a request."""

    event: Literal["end"] = "end"
    id: str
    stopped: bool = False


class Failed(Record):
    """A request, or without an id something that was none, came to nothing."""

    event: Literal["failed"] = "failed"
    id: str | None
    why: str


Event = Annotated[Loading | Ready | Missing | Text | Scores | Done | End | Failed, Field(discriminator="event")]
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


def parse_request(line: bytes) -> Request | Stop:
    """Read what a page asks.

    Raises:
        DataError: not a request; the message names what is wrong with it.
    """
    value = _parsed(line)
    kind = Stop if isinstance(value, dict) and "stop" in value else Request
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise DataError("; ".join(explain(error)), where="request") from error


def parse_event(line: bytes) -> Event:
    """Read what a worker tells.

    Raises:
        DataError: not an event.
    """
    try:
        return _EVENT.validate_python(_parsed(line))
    except ValidationError as error:
        raise DataError(f"not an event: {shorten(line)}", where="worker") from error


def _parsed(line: bytes) -> object:
    try:
        return parse_json(line)
    except ValueError as error:
        raise DataError(f"not JSON: {error}", where="line", value=line.decode("utf-8", "replace").strip()) from error
