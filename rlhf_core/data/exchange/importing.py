"""Import a file: tell its format, check every row, and write all records or none."""

from __future__ import annotations

import json
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

from rlhf_core.data.exchange.convert import Converted, Job, as_line, convert, convert_all, value_of
from rlhf_core.data.exchange.format import KINDS
from rlhf_core.data.exchange.registry import AUTO, detect, named
from rlhf_core.data.exchange.source import SPACE, Block, read_blocks
from rlhf_core.data.io import MAX_PROBLEMS
from rlhf_core.errors import DataError

LARGE = 16 * 1024 * 1024
"""Bytes of a file from which on a second process is worth its start."""
MOST = 4
"""Processes."""
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
        lines = [f"{self.read:,} rows read as {self.format}, {self.written:,} {self.kind} written"]
        lines += [f"{count:,} dropped: {why}" for why, count in self.dropped.most_common()]
        lines += [f"{self.merged:,} merged with the same prompt before them"] if self.merged else []
        lines += [f"{count:,} {what}" for what, count in self.notes.most_common()]
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
            shown += done.lines
            if len(shown) >= PREVIEW:
                return job.format, shown[:PREVIEW]
    return job.format, shown


def import_file(request: ImportRequest, out: Path, progress: Progress | None = None) -> Imported:
    """Write the records of a file to `out` as JSONL; nothing is written unless every row passes, or `skip_bad` is asked for.

    Raises:
        DataError: the file is missing or damaged, its format cannot be told or holds nothing of the kind, it holds no rows,
            or rows are wrong; lists up to 20 problems as `file:line: field: what`.
    """
    job, blocks = _begin(request, read_blocks(request.source))
    about = Imported(job.format, request.kind)
    problems: list[tuple[int, list[str]]] = []
    processes = min(os.cpu_count() or 1, MOST) if request.source.stat().st_size > LARGE else 1
    seen: set[bytes] = set()
    with ExitStack() as files:
        kept = files.enter_context(_aside(out))
        rejects: BinaryIO | None = None
        for block, done in convert_all(blocks, job, processes):
            lines = _merged(done, seen, about) if done.keys else done.lines
            kept.write("".join(lines).encode())
            _add(about, done, len(lines))
            if done.problems and request.skip_bad:
                rejects = rejects or files.enter_context(_aside(_rejects(out)))
                _write_rejects(rejects, block, done)
                about.rejected += len(done.problems)
            elif done.problems:
                problems += done.problems
                if len(problems) > MAX_PROBLEMS:
                    raise _refusal(request, job, problems, more=True)
            if progress:
                progress(block.share)
        if problems:
            raise _refusal(request, job, problems)
        if not about.written:
            why = "; ".join(about.describe()[1:])
            raise DataError(f"holds no {request.kind}", where=request.source, value=why or None)
    return about


def _begin(request: ImportRequest, blocks: Iterator[Block]) -> tuple[Job, Iterator[Block]]:
    """Tell the format by the first row that is not blank, and give back all blocks."""
    if request.kind not in KINDS:
        raise DataError("no such kind of data", value=request.kind, remedy=f"Expected one of {', '.join(KINDS)}")
    among, looked_at = named(request.format), []
    for block in blocks:
        looked_at.append(block)
        for number, raw in zip(block.numbers, block.rows, strict=True):
            if isinstance(raw, bytes) and not raw.strip(SPACE):
                continue
            where = f"{request.source}:{number}"
            try:
                value = value_of(raw)
            except DataError as error:
                raise DataError(error.what, where=where) from error
            form = detect(value, among, request.kind, where)
            job = Job(form.name, request.kind, request.salt or secrets.token_bytes(16))
            return job, chain(looked_at, blocks)
    raise DataError("holds no rows", where=request.source)


def _merged(done: Converted, seen: set[bytes], about: Imported) -> list[str]:
    """Return the lines of prompts that have not come before."""
    lines = []
    for line, key in zip(done.lines, done.keys, strict=True):
        if key not in seen:
            lines.append(line)
            seen.add(key)
    about.merged += len(done.lines) - len(lines)
    return lines


def _add(about: Imported, done: Converted, written: int) -> None:
    about.read += done.read
    about.written += written
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


def _write_rejects(file: BinaryIO, block: Block, done: Converted) -> None:
    rows = dict(zip(block.numbers, block.rows, strict=True))
    for number, problems in done.problems:
        found = as_line(rows[number]).decode("utf-8", "backslashreplace").rstrip("\n")
        row = {"line": number, "problems": problems, "row": found}
        file.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")


@contextmanager
def _aside(path: Path) -> Iterator[BinaryIO]:
    """Open a neighbour file that takes the place of `path` once the block has ended well, and goes otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with aside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
