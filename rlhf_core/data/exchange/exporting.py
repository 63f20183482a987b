"""Export our records to another project's format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlhf_core.data.exchange.format import HELD, KINDS, Dropped, Format, Row, turn_into
from rlhf_core.data.exchange.registry import FORMATS, OWN, detect, named
from rlhf_core.data.io import first_object, read_jsonl, write_json, write_jsonl
from rlhf_core.errors import DataError


@dataclass
class Exported:
    """What an export did: kind and format, records read, rows written, what was left out and why."""

    kind: str
    format: str
    read: int = 0
    written: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    cannot_hold: str = ""

    def describe(self) -> list[str]:
        """Return it in lines for people."""
        lines = [f"{self.read:,} {self.kind} read, {self.written:,} rows of {self.format} written"]
        lines += [f"{count:,} left out: {why}" for why, count in self.dropped.most_common()]
        return lines + ([self.cannot_hold] if self.cannot_hold else [])


def export_file(source: Path, out: Path, to: str) -> Exported:
    """Write our records of `source`, of whatever kind they are, to `out` in a format; a family's fitting shape is found.

    A file whose name ends in `.json` is one list, or the format's document; any other is JSONL.

    Raises:
        DataError: the file is not ours or malformed, there is no such format, or it cannot hold this kind.
    """
    number, first = first_object(source)
    kind = detect(first, list(OWN), _kind_of(first, f"{source}:{number}"), f"{source}:{number}").name.partition("-")[2]
    form, written_as = _shape(kind, to)
    records = read_jsonl(source, KINDS[kind])
    about = Exported(kind, form.name, read=len(records), cannot_hold=form.cannot_hold)
    rows = list(_rows(records, form, written_as, about))
    if not rows:
        raise DataError(f"holds nothing that {form.name} can hold", where=source)
    about.written = len(rows)
    if written_as in form.join:
        write_json(out, rows[0])
    elif out.suffix == ".json":
        write_json(out, rows)
    else:
        write_jsonl(out, rows)
    return about


def _kind_of(first: Row, where: str) -> str:
    """Return the kind of our records that has the fields of a row, the one that asks for the most."""
    fitting = {kind: OWN[n].required for n, kind in enumerate(KINDS) if OWN[n].required <= first.keys()}
    if not fitting:
        fields = ", ".join(sorted(first)[:20])
        remedy = "`rlhf data import` makes them from other formats"
        raise DataError(f"none of our records has the fields of this row: {fields}", where=where, remedy=remedy)
    return max(fitting, key=lambda kind: len(fitting[kind]))


def _shape(kind: str, to: str) -> tuple[Format, str]:
    """Return the format, and the kind it is written from: the file's own, or one that follows from it."""
    among = named(to)
    follows = [kind, *(other for other, holders in HELD.items() if kind in holders)]
    for wanted in follows:
        for form in among:
            if wanted in form.write or wanted in form.join:
                return form, wanted
    able = ", ".join(f.name for f in FORMATS.values() if kind in f.write or kind in f.join)
    raise DataError(f"{to} cannot hold {kind}", remedy=f"What can: {able}")


def _rows(records: Iterable[Any], form: Format, kind: str, about: Exported) -> Iterator[Row]:
    wanted = _wanted(records, kind, about)
    if kind in form.join:
        yield from form.join[kind](wanted)
        return
    for record in wanted:
        yield from form.write[kind](record)


def _wanted(records: Iterable[Any], kind: str, about: Exported) -> Iterator[Any]:
    for record in records:
        try:
            yield from list(turn_into(kind, record))
        except Dropped as reason:
            about.dropped[str(reason)] += 1
