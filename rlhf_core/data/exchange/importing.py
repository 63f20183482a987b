"""Import a file: tell its format, check every row, and write all records or none."""

from __future__ import annotations

import json
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

import psutil

from rlhf_core.data.exchange.convert import Converted, Job, as_line, convert, convert_all
from rlhf_core.data.exchange.format import KINDS, Format, counted
from rlhf_core.data.exchange.registry import AUTO, detect, named
from rlhf_core.data.exchange.repeats import Repeats
from rlhf_core.data.exchange.source import Block, is_blank, read_blocks, value_of
from rlhf_core.data.exchange.workers import LostProcess
from rlhf_core.data.io import MAX_PROBLEMS, replacing
from rlhf_core.errors import DataError

MB = 1024 * 1024
LARGE = 16 * MB
"""Bytes of a file from which on a second process is worth its start."""
MOST = 2
TAKES = 300
"""Processes: with this one three, which stay under so many MB together."""
OTHER_NAMES = (".gz", ".zst", ".parquet", ".csv", ".tsv")
PREVIEW = 5

Progress = Callable[[float], None]
"""Told which share of the file is done, from 0 to 1."""


@dataclass
class Imported:
    """What an import did: in which format, rows read, records written, what was dropped or changed and why."""

    format: str
    kind: str
    read: int = 0
    written: int = 0
    merged: int = 0
    rejected: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    def describe(self) -> list[str]:
        """Return it in lines for people."""
        lines = [f"{counted(self.read, 'rows')} read as {self.format}, {counted(self.written, self.kind)} written"]
        lines += [f"{count:,} dropped: {why}" for why, count in self.dropped.most_common()]
        lines += [f"{self.merged:,} merged with the same prompt before them"] if self.merged else []
        lines += [f"{count:,} × {what}" for what, count in self.notes.most_common()]
        return lines + ([f"{self.rejected:,} rejected"] if self.rejected else [])


@dataclass(frozen=True)
class ImportRequest:
    """What is asked for.

    Attributes:
        source: the file; see `read_blocks`.
        kind: one of `KINDS`.
        format: a format's name, a family's, or `auto`.
        skip_bad: write the good rows, and the others to `OUT.rejects.jsonl` with what is wrong with them.
        salt: the key of pseudonyms; drawn anew when empty, so that nobody can be found again.
    """

    source: Path
    kind: str
    format: str = AUTO
    skip_bad: bool = False
    salt: bytes = b""


def preview(request: ImportRequest) -> tuple[str, list[str]]:
    """Return the format, and the first records as they will be, as lines of JSON.

    Raises:
        DataError: as `import_file`, of the rows that were looked at.
    """
    blocks = read_blocks(request.source)
    job, blocks = _begin(request, blocks)
    shown: list[str] = []
    for block in blocks:
        for number, row in zip(block.numbers, block.rows, strict=True):
            done = convert(Block([number], [row]), job)
            if done.problems and not request.skip_bad:
                raise _refusal(request, job, done.problems, more=True)
            shown += [line.rstrip("\n") for line in done.lines]
            if len(shown) >= PREVIEW:
                return job.format, shown[:PREVIEW]
    return job.format, shown


def import_file(request: ImportRequest, out: Path, progress: Progress | None = None) -> Imported:
    """Write the records of a file to `out` as JSONL; nothing is written unless every row passes, or `skip_bad` is asked for.

    Raises:
        DataError: the file is missing or damaged, its format cannot be told or holds nothing of the kind, it holds no rows,
            or rows are wrong; lists up to 20 problems as `file:line: field: what`. Or memory ran out, or a process at work on it
            was killed.
    """
    check_target(request.source, out)
    job, blocks = _begin(request, read_blocks(request.source))
    about = Imported(job.format, request.kind)
    processes = min(os.cpu_count() or 1, MOST) if request.source.stat().st_size > LARGE else 1
    with ExitStack() as files:
        files.enter_context(_lost_work_told(request.source))
        kept = files.enter_context(replacing(out))
        repeats = files.enter_context(closing(Repeats()))
        rejects = _Rejects(request, job, out, files)
        for block, done in convert_all(blocks, job, processes):
            kept.write("".join(done.lines).encode())
            repeats.add(done.keys)
            _add(about, done)
            rejects.add(block, done)
            if progress:
                progress(block.share)
        rejects.end()
        about.rejected = rejects.count
        about.merged = repeats.take_out(kept)
        about.written -= about.merged
        if not about.written:
            why = "; ".join(about.describe()[1:])
            raise DataError(f"holds no {request.kind}", where=request.source, value=why or None)
    if request.skip_bad and not about.rejected:
        _rejects(out).unlink(missing_ok=True)
    return about


@contextmanager
def _lost_work_told(source: Path) -> Iterator[None]:
    """Say what it means that work was lost, in place of what Python says."""
    try:
        yield
    except (LostProcess, MemoryError) as error:
        why = "memory ran out"
        if isinstance(error, LostProcess):
            killed = f"was killed by signal {error.signal}, as happens when memory runs out"
            why = f"a process at work on it {killed if error.signal else 'ended by itself'}"
        free = psutil.virtual_memory().available // MB
        remedy = (
            f"An import takes about {TAKES} MB, more where rows are long; {free:,} MB are free now. Close other programs or "
            "move to a larger machine, then run the same command again"
        )
        raise DataError(f"{why}. Nothing was written", where=source, remedy=remedy) from error


def check_target(source: Path, out: Path) -> None:
    """Refuse a place to write to that would lose what is read, or that says it is of another kind.

    Raises:
        DataError: `out` is the file that is read, a folder, or named as a compressed file or a table.
    """
    if out.is_dir():
        raise DataError("is a folder", where=out, remedy="Name a file in it")
    if out.exists() and source.exists() and out.samefile(source):
        raise DataError("is the file that is read", where=out, remedy="Name another file to write to")
    if out.suffix.lower() in OTHER_NAMES:
        raise DataError(f"names a {out.suffix} file", where=out, remedy="What is written is JSON: name it .jsonl")


def _begin(request: ImportRequest, blocks: Iterator[Block]) -> tuple[Job, Iterator[Block]]:
    """Tell the format by the first row, and give back all blocks; where bad rows are left out, by the first that fits one."""
    if request.kind not in KINDS:
        raise DataError("no such kind of data", value=request.kind, remedy=f"Expected one of {', '.join(KINDS)}")
    among, looked_at = named(request.format), []
    for block in blocks:
        looked_at.append(block)
        if form := _told_by(block, among, request):
            return Job(form.name, request.kind, request.salt or secrets.token_bytes(16)), chain(looked_at, blocks)
    raise DataError("holds no rows", where=request.source)


def _told_by(block: Block, among: list[Format], request: ImportRequest) -> Format | None:
    """Return the format of the rows of a block, None when all are blank."""
    first: DataError | None = None
    for number, raw in zip(block.numbers, block.rows, strict=True):
        if is_blank(raw):
            continue
        where = f"{request.source}:{number}"
        try:
            return detect(value_of(raw), among, request.kind, where)
        except DataError as error:
            first = first or (error if error.where else DataError(error.what, where=where))
            if not request.skip_bad:
                break
    if first:
        raise first
    return None


def _add(about: Imported, done: Converted) -> None:
    about.read += done.read
    about.written += len(done.lines)
    about.dropped += done.dropped
    about.notes += done.notes


def _refusal(request: ImportRequest, job: Job, problems: list[tuple[int, list[str]]], more: bool = False) -> DataError:
    found = (f"{request.source}:{number}: {text}" for number, texts in problems for text in texts)
    lines = list(islice(found, MAX_PROBLEMS))
    lines += ["… there may be more"] if more else []
    remedy = (
        f"Read as {job.format}. Nothing was written. --skip-bad writes the other rows, and these to a file of rejects"
    )
    return DataError("\n".join(lines), remedy=remedy)


def _rejects(out: Path) -> Path:
    return out.with_name(f"{out.name.removesuffix('.jsonl')}.rejects.jsonl")


class _Rejects:
    """Rows that are wrong: written to their own file where they are to be left out, and a reason to stop otherwise."""

    def __init__(self, request: ImportRequest, job: Job, out: Path, files: ExitStack) -> None:
        self._request, self._job, self._out, self._files = request, job, out, files
        self._file: BinaryIO | None = None
        self._problems: list[tuple[int, list[str]]] = []
        self.count = 0

    def add(self, block: Block, done: Converted) -> None:
        """Take what is wrong with a block; more problems than are shown end the import."""
        self.count += len(done.problems)
        if not self._request.skip_bad:
            self._problems += done.problems
            if len(self._problems) > MAX_PROBLEMS:
                raise _refusal(self._request, self._job, self._problems, more=True)
        elif done.problems:
            self._file = self._file or self._files.enter_context(replacing(_rejects(self._out)))
            rows = dict(zip(block.numbers, block.rows, strict=True))
            for number, problems in done.problems:
                found = as_line(rows[number]).decode("utf-8", "backslashreplace").rstrip("\n")
                row = {"line": number, "problems": problems, "row": found}
                self._file.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")

    def end(self) -> None:
        """Refuse the file if anything was wrong with it."""
        if self._problems:
            raise _refusal(self._request, self._job, self._problems)
