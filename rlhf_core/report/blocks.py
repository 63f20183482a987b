"""What a document consists of: the same blocks are written as Markdown and set as PDF, so that both show the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

COMMAND = re.compile(r"`(rlhf [a-z -]*[a-z])`")
"""What our sentences set as code. Backticks around anything else stay as they are, for names in a sentence may hold some."""


@dataclass(frozen=True)
class Heading:
    """A title; sections are of level 1."""

    text: str
    level: int = 1


@dataclass(frozen=True)
class Prose:
    """A paragraph of our own words, in which names may stand; commands are set as code, see `code_runs`."""

    text: str
    style: str = ""
    """"" for plain, "strong", or "quiet"."""


@dataclass(frozen=True)
class Bullets:
    """Paragraphs in a list."""

    items: Sequence[str]


@dataclass(frozen=True)
class Track:
    """A value on its interval, to be drawn on an axis with a tick at the reference."""

    value: float
    low: float | None
    high: float | None
    axis: tuple[float, float]
    reference: float


@dataclass(frozen=True)
class Table:
    """Rows under a header, each cell one line. `right` names the first column that holds numbers.

    Attributes:
        tracks: a drawing for each row, or none at all; only what can draw shows them.
        widths: shares of the line where columns need more than what they hold.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: int = 1
    tracks: Sequence[Track] = ()
    widths: Sequence[float] = ()


@dataclass(frozen=True)
class Verbatim:
    """Text as somebody wrote it, letter by letter."""

    text: str


@dataclass(frozen=True)
class Side:
    """One answer: its contender, what stands above it, and the text."""

    contender: str
    title: str
    text: str


@dataclass(frozen=True)
class Exchange:
    """A prompt with answers side by side; `note` stands beside the prompt."""

    prompt: str
    note: str
    sides: Sequence[Side]


@dataclass(frozen=True)
class Picture:
    """A drawing with a title and what it shows in words. `wide` takes the whole line."""

    title: str
    caption: str
    svg: Markup
    alt: str
    wide: bool = False


@dataclass(frozen=True)
class Gallery:
    """Pictures beside one another, as many as fit."""

    pictures: Sequence[Picture] = field(default_factory=tuple)


Block = Heading | Prose | Bullets | Table | Verbatim | Exchange | Gallery


def code_runs(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the pieces of a sentence, each with whether it is a command to be set as code."""
    for n, piece in enumerate(COMMAND.split(text)):
        if piece:
            yield bool(n % 2), piece
