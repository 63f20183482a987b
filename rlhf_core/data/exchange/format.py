"""What a format is: how a row of it looks, what it can be read as, and which records it can be written from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict

from rlhf_core.data.records import (
    Asked,
    ContenderCompletion,
    Demonstration,
    PairVote,
    Preference,
    Prompt,
    Ranking,
    Record,
)

KINDS: dict[str, type[Record]] = {
    "prompts": Prompt,
    "demonstrations": Demonstration,
    "preferences": Preference,
    "rankings": Ranking,
    "completions": ContenderCompletion,
    "votes": PairVote,
}
"""What a file can be imported as → the record of its rows."""
HELD = {
    "prompts": ("demonstrations", "preferences", "rankings", "votes", "completions"),
    "demonstrations": ("preferences",),
    "preferences": ("rankings", "votes"),
    "rankings": ("preferences", "votes"),
}
"""Kind → kinds that hold it too, so that a format which can be read as one of these can be read as it."""

PSEUDONYMS = "a judge's name became a pseudonym, so that nobody is known by it"
TIED = "the vote is a tie"

Row: TypeAlias = dict[str, Any]


def counted(number: int, things: str) -> str:
    """Return a number with what is counted, whose name in the plural ends in s."""
    return f"{number:,} {things if number != 1 else things.removesuffix('s')}"


def pseudonym(name: str, salt: bytes) -> str:
    """Return what a person is called: the same for the same name and key, and without the key no way back to it."""
    return f"labeller-{blake2b(name.encode(), key=salt, digest_size=5).hexdigest()}"


class ForeignRow(BaseModel):
    """Base of the rows of other projects' files: fields that we have no use for are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Dropped(Exception):
    """A row is well-formed and holds nothing of the kind asked for; the text is the reason, which is counted."""


@dataclass
class Reading:
    """One row on its way to records: the id they are given, pseudonyms for people's names, and what is worth reporting.

    `dropped` counts why records of a row that has several came to nothing.
    """

    id: str
    salt: bytes = b""
    notes: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    def pseudonym(self, name: object) -> str:
        """Return what a person is called here, and note it; see `pseudonym`."""
        self.notes[PSEUDONYMS] += 1
        return pseudonym(str(name), self.salt)


Reader: TypeAlias = Callable[[Any, Reading], Iterable[Record]]
Writer: TypeAlias = Callable[[Any], Iterable[Row]]
Joiner: TypeAlias = Callable[[Iterable[Any], Counter[str]], Iterable[Row]]
"""All records → rows; what it leaves out it counts by the reason."""


@dataclass(frozen=True)
class Format:
    """One shape of file.

    Attributes:
        name: what `--format` and `--to` take; a family's shapes begin with its name.
        about: what it is, in a sentence.
        row: the model of one row; it has the fields that are told by name.
        read: kind → records of a checked row.
        write: kind → rows of a record.
        join: kind → the rows of all records together, where a row is of several.
        document: says that a file is one document, which all its records make.
        tells: says of a row with the fields whether it is of this format, where other formats have the same fields.
        cannot_hold: what is lost on the way there and back, in a sentence.
        instead: what to do with it, where it cannot be read as any kind.
    """

    name: str
    about: str
    row: type[BaseModel]
    read: Mapping[str, Reader] = field(default_factory=dict)
    write: Mapping[str, Writer] = field(default_factory=dict)
    join: Mapping[str, Joiner] = field(default_factory=dict)
    document: bool = False
    tells: Callable[[Row], bool] | None = None
    cannot_hold: str = ""
    instead: str = ""

    @property
    def required(self) -> frozenset[str]:
        """Fields that every row has, by which the format is told."""
        return frozenset(name for name, about in self.row.model_fields.items() if about.is_required())

    def reads(self, kind: str) -> Reader | None:
        """Return what reads a checked row as a kind: the format's own way, or one by way of a kind that holds it."""
        if kind in self.read:
            return self.read[kind]
        for other in HELD.get(kind, ()):
            if other in self.read:
                return _by_way_of(self.read[other], kind)
        return None


def _by_way_of(read: Reader, kind: str) -> Reader:
    def records(row: Any, reading: Reading) -> Iterator[Record]:
        for record in read(row, reading):
            try:
                yield from turn_into(kind, record)
            except Dropped as reason:
                reading.dropped[str(reason)] += 1

    return records


def turn_into(kind: str, record: Record) -> Iterator[Record]:
    """Yield the records of a kind that another record holds.

    Raises:
        Dropped: it holds none.
    """
    if isinstance(record, KINDS[kind]):
        yield record
    elif kind == "prompts" and isinstance(record, Asked):
        yield Prompt.model_validate(_asked(record))
    elif kind == "prompts" and isinstance(record, ContenderCompletion):
        about = {"id": record.prompt_id, "prompt": record.last_message, "history": record.history}
        yield Prompt.model_validate(about | {"category": record.category})
    elif isinstance(record, PairVote):
        yield from turn_into(kind, _preference_of(record))
    elif kind == "demonstrations" and isinstance(record, Preference):
        yield Demonstration.model_validate(_asked(record) | {"response": record.chosen, "prompt_id": record.prompt_id})
    elif kind == "rankings" and isinstance(record, Preference):
        yield record.as_ranking()
    elif kind == "preferences" and isinstance(record, Ranking):
        yield from preferences_of(record)


def preference(asked: Row, chosen: str, rejected: str) -> Preference:
    """Return what is asked with two answers to it.

    Raises:
        Dropped: one of them is empty, or they are the same: nothing can be learnt from them.
    """
    if not (chosen.strip() and rejected.strip()):
        raise Dropped("an answer is empty")
    if chosen == rejected:
        raise Dropped("the two answers are the same")
    return Preference.model_validate(asked | {"chosen": chosen, "rejected": rejected})


def preferences_of(ranking: Ranking) -> Iterator[Preference]:
    """Yield one preference for each pair of completions that are not tied.

    Raises:
        Dropped: all are tied.
    """
    pairs = ranking.pairs()
    if not pairs:
        raise Dropped("all completions are tied")
    for number, (chosen, rejected) in enumerate(pairs, 1):
        own = ranking.id if len(pairs) == 1 else f"{ranking.id}-{number}"
        about = {"id": own, "prompt_id": ranking.prompt_id or ranking.id, "weight": ranking.weight}
        rest = {"chosen": chosen, "rejected": rejected, "provenance": ranking.provenance}
        yield Preference.model_validate(_asked(ranking) | about | rest)


def _preference_of(vote: PairVote) -> Preference:
    if vote.verdict in ("tie", "both_bad"):
        raise Dropped(TIED)
    chosen, rejected = (vote.a.text, vote.b.text) if vote.verdict == "a" else (vote.b.text, vote.a.text)
    return preference(_asked(vote) | {"prompt_id": vote.prompt_id}, chosen, rejected)


def _asked(record: Asked) -> Row:
    return {name: getattr(record, name) for name in ("id", "prompt", "history", "category")}
