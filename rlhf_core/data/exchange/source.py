"""The rows of a file, block by block: JSONL, JSON, CSV, TSV and Parquet; gzip and Zstandard are opened on the way.

However long the file, only one block of it is in memory.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from rlhf_core.data.io import BOM, DAMAGED, packing, parse_json, parse_row, unpacked
from rlhf_core.errors import DataError

BLOCK = 1024 * 1024  # bytes
ROWS = 500
"""Most rows of a block of what is not JSONL; rows of more than a block's size end it sooner."""
PARQUET = b"PAR1"
SPACE = b" \t\r\n"
LONGEST_ELEMENT = 64 * BLOCK
"""Characters after which an element of a JSON list that has no end is given up."""
LONGEST_ROW = 64 * BLOCK
"""Bytes after which a line or a cell that has no end is given up."""


@dataclass(frozen=True)
class Block:
    """Rows with their numbers: the lines they begin on, or of Parquet their places. A row is a line of JSON or a value.

    `share` of the file is read by then, from 0 to 1.
    """

    numbers: Sequence[int]
    rows: Sequence[Any]
    share: float = 1.0


def read_blocks(path: Path) -> Iterator[Block]:
    """Yield the rows of a file; what it is, its first bytes tell, and of a table of text its name.

    Raises:
        DataError: the file is missing, damaged, or not UTF-8.
    """
    if not path.is_file():
        raise DataError("no such file", where=path, remedy="Check the path in the command")
    try:
        with path.open("rb") as file:
            if file.read(4) == PARQUET:
                yield from _parquet(path, file)
                return
            file.seek(0)
            size = path.stat().st_size
            for block in _text(path, unpacked(file, packing(path))):
                yield replace(block, share=file.tell() / size)
    except UnicodeDecodeError as error:  # of a table or a document; lines are told one by one
        raise DataError(f"byte {error.start + 1} is not UTF-8", where=path, remedy="Save the file as UTF-8") from error
    except DAMAGED as error:
        raise DataError(f"cannot be read to its end: {error}", where=path, remedy="Fetch it again") from error


def read_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield (number, row as it stands in its block) of every row of a file that is not blank.

    Raises:
        DataError: as `read_blocks`.
    """
    for block in read_blocks(path):
        for number, raw in zip(block.numbers, block.rows, strict=True):
            if not is_blank(raw):
                yield number, raw


def is_blank(raw: Any) -> bool:
    """Say whether a row of a block is a line of nothing but white space."""
    return isinstance(raw, bytes) and not raw.strip(SPACE)


def value_of(raw: Any) -> Any:
    """Return the value of a row as it stands in a block.

    Raises:
        DataError: a line is not a JSON object.
    """
    return parse_row(raw) if isinstance(raw, bytes) else raw


def _text(path: Path, stream: BinaryIO) -> Iterator[Block]:
    suffix = Path(path.name.removesuffix(".gz").removesuffix(".zst")).suffix.lower()
    if suffix in (".csv", ".tsv"):
        yield from _table(path, stream, "\t" if suffix == ".tsv" else ",")
        return
    head = stream.read(BLOCK).removeprefix(BOM)
    first = head.lstrip(SPACE)
    if first.startswith(b"["):
        yield from _list(path, head, stream)
    elif suffix == ".json" and not _is_line_of_json(first):
        yield Block([1], [_document(path, head + stream.read())])
    else:
        yield from _lines(path, head, stream)


def _lines(path: Path, head: bytes, stream: BinaryIO) -> Iterator[Block]:
    """Lines end at \\n only: U+2028 and its like are text."""
    number, rest = 1, b""
    while head:
        lines = (rest + head).split(b"\n")
        rest = lines.pop()
        yield Block(range(number, number + len(lines)), lines)
        number += len(lines)
        if len(rest) > LONGEST_ROW:
            what = f"no end of the line after {LONGEST_ROW // BLOCK} MB"
            raise DataError(what, where=f"{path}:{number}", remedy="Expected one JSON object a line")
        head = stream.read(BLOCK)
    if rest:
        yield Block([number], [rest])


def _is_line_of_json(first: bytes) -> bool:
    try:
        return isinstance(json.loads(first.split(b"\n", 1)[0]), dict)
    except (ValueError, RecursionError):
        return False


def _document(path: Path, content: bytes) -> Any:
    try:
        return parse_json(content)
    except json.JSONDecodeError as error:
        what = f"not JSON: {error.msg} at column {error.colno}"
        raise DataError(what, where=f"{path}:{error.lineno}", remedy="Expected one JSON object") from error
    except UnicodeDecodeError:
        raise
    except ValueError as error:
        raise DataError(str(error), where=path) from error


def _list(path: Path, head: bytes, stream: BinaryIO) -> Iterator[Block]:
    """Read the elements of a JSON list one after another, with the lines they begin on."""
    text, line, decoder = _Text(head, stream), 1, json.JSONDecoder()
    text.skip("[")
    numbers: list[int] = []
    rows: list[Any] = []
    while (found := text.next_value(decoder, path)) is not None:
        line, value = found
        numbers.append(line)
        rows.append(value)
        if len(rows) == ROWS or text.taken > BLOCK:
            yield Block(numbers, rows)
            numbers, rows, text.taken = [], [], 0
    if rows:
        yield Block(numbers, rows)


class _Text:
    """A JSON list as text of which as much is read as the next element needs."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._decode = io.TextIOWrapper(io.BufferedReader(_Joined(head, stream)), encoding="utf-8", newline="\n")
        self._text, self._at, self._line = "", 0, 1
        self.taken = 0  # characters of elements, for who counts them

    def skip(self, sign: str) -> None:
        """Step over a sign that is known to come."""
        self._blank()
        self._at += len(sign)

    def next_value(self, decoder: json.JSONDecoder, path: Path) -> tuple[int, Any] | None:
        """Return the next element and its line, None at the end of the list."""
        self._blank()
        if self._text[self._at : self._at + 1] == ",":
            self._at += 1
            self._blank()
        if self._text[self._at : self._at + 1] == "]":
            return None
        while True:
            try:
                value, end = decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                line = self._line + self._text.count("\n", self._at, error.pos)
                if len(self._text) - self._at < LONGEST_ELEMENT and self._more():
                    continue
                what = f"not JSON: {error.msg}"
                raise DataError(what, where=f"{path}:{line}", remedy="Expected a JSON list of objects") from error
            except (ValueError, RecursionError) as error:  # a number of thousands of digits; thousands of brackets
                what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
                raise DataError(what, where=f"{path}:{self._line}") from error
            if end == len(self._text) and self._more():  # a number may go on
                continue
            line = self._line
            self._line += self._text.count("\n", self._at, end)
            self.taken += end - self._at
            self._at = end
            return line, value

    def _blank(self) -> None:
        while True:
            while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
                self._line += self._text[self._at] == "\n"
                self._at += 1
            if self._at < len(self._text) or not self._more():
                return

    def _more(self) -> bool:
        more = self._decode.read(BLOCK)
        self._text, self._at = self._text[self._at :] + more, 0
        return bool(more)


class _Joined(io.RawIOBase):
    """What was read already, then the rest of the stream."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head, self._stream = head, stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._head[: len(buffer)] if self._head else self._stream.read(len(buffer))
        self._head = self._head[len(part) :]
        buffer[: len(part)] = part
        return len(part)


def _table(path: Path, stream: BinaryIO, delimiter: str) -> Iterator[Block]:
    """Read a table with a header; an empty cell is a field that is absent."""
    csv.field_size_limit(LONGEST_ROW)
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    reader = csv.DictReader(text, delimiter=delimiter, strict=True, restkey="")
    numbers: list[int] = []
    rows: list[Any] = []
    line, size = 1, 0
    try:
        names = len(reader.fieldnames or [])
        line = reader.line_num + 1
        for row in reader:
            if "" in row:
                what = f"more cells than the {names} of the header"
                raise DataError(what, where=f"{path}:{line}", value=row[""])
            numbers.append(line)
            rows.append({name: cell for name, cell in row.items() if cell})
            line = reader.line_num + 1
            size += sum(len(cell or "") for cell in row.values())
            if len(rows) == ROWS or size > BLOCK:
                yield Block(numbers, rows)
                numbers, rows, size = [], [], 0
    except csv.Error as error:
        raise DataError(f"not CSV: {error}", where=f"{path}:{line}") from error
    finally:
        text.detach()  # what opened the stream closes it
    if rows:
        yield Block(numbers, rows)


def _parquet(path: Path, file: BinaryIO) -> Iterator[Block]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table, number = pq.ParquetFile(file, buffer_size=BLOCK, pre_buffer=False), 1
        about = table.metadata
        size = sum(about.row_group(group).total_byte_size for group in range(about.num_row_groups))
        for batch in table.iter_batches(max(1, min(ROWS, BLOCK * about.num_rows // max(1, size)))):
            rows = batch.to_pylist()
            yield Block(range(number, number + len(rows)), rows, number / about.num_rows)
            number += len(rows)
    except (pa.ArrowException, ValueError, OverflowError, MemoryError) as error:
        raise DataError(f"not Parquet that can be read: {error!s:.300}", where=path, remedy="Fetch it again") from error
