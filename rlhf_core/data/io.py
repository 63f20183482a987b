"""Read and write JSONL. Reading checks every line and reports up to twenty problems at once as `file:line: field: what`."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from pydantic import BaseModel, ValidationError

from rlhf_core.errors import DataError, shorten

R = TypeVar("R", bound=BaseModel)
MAX_PROBLEMS = 20
PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
"""What packed files begin with → how they are packed."""
DAMAGED = (EOFError, OSError, zlib.error)
"""What reading a file raises that is damaged or cut off."""
BOM = b"\xef\xbb\xbf"


class Problems:
    """What is wrong in a file, as `file:line: field: what (found …), expected …`."""

    def __init__(self, path: str | Path) -> None:
        self.path, self.said, self.count = path, [], 0

    def add(self, line: int | str, *problems: str) -> None:
        """Note what is wrong at a place; only the first twenty are kept in words."""
        for what in problems:
            self.count += 1
            if self.count <= MAX_PROBLEMS:
                self.said.append(f"{self.path}:{line}: {what}")

    def refuse(self, remedy: str) -> None:
        """Raise what was noted, if anything.

        Raises:
            DataError: lists up to twenty problems.
        """
        if self.count:
            more = [f"… and {self.count - MAX_PROBLEMS} more"] if self.count > MAX_PROBLEMS else []
            raise DataError("\n".join([*self.said, *more]), remedy=f"Nothing was read from {self.path}. {remedy}")


def read_jsonl(path: str | Path, record: type[R]) -> list[R]:
    """Read every line of `path` as a `record`.

    Lines end at `\\n` only (U+2028 is text). Blank lines are passed over. A packed file is read as what it holds.

    Raises:
        DataError: the file is missing, holds no rows, or some line is not a `record`; lists up to 20 lines.
    """
    rows: list[R] = []
    problems = Problems(path)
    for number, line in enumerate(read_content(path).split(b"\n"), 1):
        if line.strip():
            try:
                rows.append(record.model_validate(parse_row(line)))
            except (DataError, ValidationError) as error:
                problems.add(number, *explain(error))
    problems.refuse(f"A {record.__name__} has the fields: {', '.join(record.model_fields)}")
    if not rows:
        raise DataError("holds no rows", where=path, remedy=f"Expected one JSON {record.__name__} a line")
    return rows


def iterate_jsonl(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) of every line that is not blank, one line in memory at a time.

    Raises:
        DataError: a line is not a JSON object in UTF-8.
    """
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, 1):
            line = line.removeprefix(BOM) if number == 1 else line
            if line.strip():
                try:
                    yield number, parse_row(line)
                except DataError as error:
                    raise DataError(error.what, where=f"{path}:{number}") from error


def first_object(path: str | Path) -> tuple[int, dict[str, Any]]:
    """Return (line number, object) of the first line that is not blank; a packed file is read as what it holds.

    Raises:
        DataError: the file is missing, holds no rows, or its first row is not a JSON object in UTF-8.
    """
    for number, line in enumerate(read_content(path).split(b"\n"), 1):
        if line.strip():
            try:
                return number, parse_row(line)
            except DataError as error:
                raise DataError(error.what, where=f"{path}:{number}") from error
    raise DataError("holds no rows", where=path, remedy="Expected one JSON object a line")


def write_jsonl(path: str | Path, rows: Iterable[BaseModel | Mapping[str, Any]]) -> None:
    """Write rows to `path` aside and rename, so that a reader never meets half a file."""
    lines = [json.dumps(_plain(row), ensure_ascii=False, allow_nan=False) for row in rows]
    write_text(path, "".join(line + "\n" for line in lines))


def append_jsonl(path: str | Path, row: BaseModel | Mapping[str, Any]) -> None:
    """Append one row to `path` as a whole line, in one write: rows of several writers do not mix."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(_plain(row), ensure_ascii=False, allow_nan=False) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line.encode("utf-8"))
    finally:
        os.close(descriptor)


def write_json(path: str | Path, value: Any) -> None:
    """Write one JSON document to `path` aside and rename."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` in UTF-8 through a neighbour file and an atomic rename."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write `content` to `path` through a neighbour file and an atomic rename."""
    with replacing(path) as file:
        file.write(content)


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """Open a neighbour file that takes the place of `path` once the block has ended well, and goes otherwise."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with aside.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def packing(path: Path) -> str | None:
    """Return how a file is packed, `gzip` or `zstd`, told by its first bytes; None when it is not."""
    with path.open("rb") as file:
        start = file.read(4)
    return next((name for mark, name in PACKED.items() if start.startswith(mark)), None)


def unpacked(file: BinaryIO, how: str | None) -> BinaryIO:
    """Return what a file holds that is packed in some way, to be read once from its beginning."""
    if how == "gzip":
        return gzip.open(file, "rb")  # pyright: ignore[reportReturnType]
    if how == "zstd":
        import pyarrow as pa  # only such files need it, and it takes 60 MB

        return BufferedReader(pa.CompressedInputStream(file, how), 1024 * 1024)  # pyright: ignore[reportArgumentType]
    return file


def read_content(path: str | Path, size: int = -1) -> bytes:
    """Return what a file holds, packed or not, without a byte-order mark: all of it, or as many bytes.

    Raises:
        DataError: the file is missing, or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError("no such file", where=path, remedy="Check the path in the configuration or the command")
    try:
        with path.open("rb") as file:
            return unpacked(file, packing(path)).read(size).removeprefix(BOM)
    except DAMAGED as error:
        raise DataError(f"cannot be read to its end: {error}", where=path, remedy="Fetch it again") from error


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text in UTF-8; JSON can say half of a surrogate pair, which is no text and is refused.

    Raises:
        ValueError: not UTF-8, not JSON, or half of a pair.
    """
    text = text.decode("utf-8") if isinstance(text, bytes) else text
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if "\\u" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(
                f"holds half of a surrogate pair, {error.object[error.start]!a}, which is no text"
            ) from error
    return value


def parse_row(line: bytes) -> dict[str, Any]:
    """Return the object of one line.

    Raises:
        DataError: says why the line is none.
    """
    try:
        value = parse_json(line)
    except UnicodeDecodeError as error:
        raise DataError(f"byte {error.start + 1} is not UTF-8; save the file as UTF-8") from error
    except json.JSONDecodeError as error:
        raise DataError(f"not JSON: {error.msg} at column {error.colno}") from error
    except ValueError as error:
        raise DataError(str(error)) from error
    if not isinstance(value, dict):
        raise DataError(f"expected a JSON object, found {type(value).__name__}")
    return value


def explain(error: DataError | ValidationError) -> list[str]:
    """Return what is wrong with a row, one `field: what (found …)` for each problem."""
    if isinstance(error, DataError):
        return [str(error)]
    return [_field_problem(e) for e in error.errors(include_url=False)]


def _plain(row: BaseModel | Mapping[str, Any]) -> Any:
    return row.model_dump() if isinstance(row, BaseModel) else dict(row)


def _field_problem(error: Any) -> str:
    field = ".".join(str(part) for part in error["loc"])
    message = error["msg"].removeprefix("Value error, ")
    known = error["type"] in ("missing", "value_error")
    found = "" if known else f" (found {shorten(error['input'])})"
    return f"{field}: {message}{found}" if field else message
