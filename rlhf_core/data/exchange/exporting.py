"""Export our records to another project's format, row by row."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError

from rlhf_core.data.exchange.convert import digest
from rlhf_core.data.exchange.format import HELD, KINDS, Dropped, Format, Row, Writer, counted, turn_into
from rlhf_core.data.exchange.importing import check_target
from rlhf_core.data.exchange.registry import FORMATS, named
from rlhf_core.data.exchange.source import read_rows, value_of
from rlhf_core.data.io import MAX_PROBLEMS, explain, first_object, replacing
from rlhf_core.data.records import Prompt, Record
from rlhf_core.errors import DataError


@dataclass
class Exported:
    """What an export did: kind and format, records read, rows written, what was left out and why."""

    kind: str
    format: str
    read: int = 0
    written: int = 0
    merged: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    cannot_hold: str = ""

    def describe(self) -> list[str]:
        """Return it in lines for people."""
        lines = [f"{counted(self.read, self.kind)} read, {counted(self.written, 'rows')} of {self.format} written"]
        lines += [f"{count:,} left out: {why}" for why, count in self.dropped.most_common()]
        lines += [f"{self.merged:,} merged with the same prompt before them"] if self.merged else []
        return lines + ([self.cannot_hold] if self.cannot_hold else [])


def export_file(source: Path, out: Path, to: str) -> Exported:
    """Write our records of `source`, of whatever kind they are, to `out` in a format; a family's fitting shape is found.

    A file whose name ends in `.json` is one list, or the format's document; any other is JSONL. Nothing is written unless
    every record passes.

    Raises:
        DataError: the file is not ours or malformed, there is no such format, or it cannot hold this kind.
    """
    check_target(source, out)
    number, first = first_object(source)
    kind = _kind_of(first, f"{source}:{number}")
    form, written_as = _shape(kind, to)
    about = Exported(kind, form.name, cannot_hold=form.cannot_hold)
    rows = _rows(_records(source, kind, about), form, written_as, about)
    with replacing(out) as file:
        if form.document:
            _write_document(file, rows)
        elif out.suffix == ".json":
            _write_list(file, rows)
        else:
            file.writelines(_line(row) + b"\n" for row in rows)
        if not about.written:
            why = "; ".join(about.describe()[1 : 1 + len(about.dropped)]) or None
            raise DataError(f"holds nothing that {form.name} can hold", where=source, value=why)
    return about


def _line(row: Row) -> bytes:
    return json.dumps(row, ensure_ascii=False, allow_nan=False).encode()


def _write_list(file: BinaryIO, rows: Iterable[Row]) -> None:
    before = b"[\n"
    for row in rows:
        file.write(before + _line(row))
        before = b",\n"
    file.write(b"\n]\n")


def _write_document(file: BinaryIO, rows: Iterable[Row]) -> None:
    for row in rows:
        file.write(json.dumps(row, ensure_ascii=False, indent=1, allow_nan=False).encode() + b"\n")


def _kind_of(first: Row, where: str) -> str:
    """Return the kind of our records that has the fields of a row, the one that asks for the most."""
    asked = {kind: FORMATS[f"studio-{kind}"].required for kind in KINDS}
    fitting = {kind: fields for kind, fields in asked.items() if fields <= first.keys()}
    if not fitting:
        fields = ", ".join(f"{field:.40}" for field in sorted(first)[:20])
        remedy = "`rlhf data import` makes them from other formats"
        raise DataError(f"none of our records has the fields of this row: {fields}", where=where, remedy=remedy)
    return max(fitting, key=lambda kind: len(fitting[kind]))


def _shape(kind: str, to: str) -> tuple[Format, str]:
    """Return the format, and the kind it is written from: the file's own, or one that follows from it."""
    among = named(to)
    follows = [kind, *(other for other in reversed(HELD) if kind in HELD[other])]  # what holds more first
    for wanted in follows:
        for form in among:
            if wanted in form.write or wanted in form.join:
                return form, wanted
    able = [f.name for f in FORMATS.values() if not f.write.keys().isdisjoint(follows) or kind in f.join]
    raise DataError(f"{to} cannot hold {kind}", remedy=f"What can: {', '.join(able)}")


def _records(source: Path, kind: str, about: Exported) -> Iterator[Record]:
    problems: list[str] = []
    for number, raw in read_rows(source):
        about.read += 1
        try:
            record = KINDS[kind].model_validate(value_of(raw))
        except (DataError, ValidationError) as error:
            problems += [f"{source}:{number}: {text}" for text in explain(error)]
            if len(problems) > MAX_PROBLEMS:
                break
            continue
        if not problems:
            yield record
    if problems:
        lines = problems[:MAX_PROBLEMS] + ["… there may be more"] * (len(problems) > MAX_PROBLEMS)
        raise DataError("\n".join(lines), remedy=f"Read as {kind} of this project. Nothing was written")


def _rows(records: Iterable[Record], form: Format, kind: str, about: Exported) -> Iterator[Row]:
    wanted = _wanted(records, kind, about)
    together = form.join.get(kind)
    if together and form.document:
        yield from together(_counted(wanted, about), about.dropped)
    elif together:
        yield from _counted(together(wanted, about.dropped), about)
    else:
        yield from _counted(_one_by_one(wanted, form.write[kind], about.dropped), about)


def _one_by_one(records: Iterable[Any], write: Writer, dropped: Counter[str]) -> Iterator[Row]:
    for record in records:
        try:
            rows = list(write(record))
        except Dropped as reason:
            dropped[str(reason)] += 1
            continue
        yield from rows


def _counted(things: Iterable[Any], about: Exported) -> Iterator[Any]:
    for thing in things:
        about.written += 1
        yield thing


def _wanted(records: Iterable[Record], kind: str, about: Exported) -> Iterator[Any]:
    """Yield what the records are as a kind; a prompt that several records share once."""
    seen: set[bytes] = set()
    for record in records:
        try:
            found = list(turn_into(kind, record))
        except Dropped as reason:
            about.dropped[str(reason)] += 1
            continue
        for one in found:
            if isinstance(one, Prompt) and not isinstance(record, Prompt):
                if (mark := digest(one)) in seen:
                    about.merged += 1
                    continue
                seen.add(mark)
            yield one
