"""Ten thousand damaged files of every format: nothing but our own errors, and never an output left behind."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlhf_core.data.exchange.exporting import export_file
from rlhf_core.data.exchange.format import KINDS
from rlhf_core.data.exchange.importing import ImportRequest, import_file
from rlhf_core.data.exchange.registry import FORMATS
from rlhf_core.errors import RlhfError
from tests.exchange_rows import ROWS

FILES = 10_000
PARTS = 10
SEED = 20_261_123
Row = dict[str, Any]


def as_lines(rows: list[Row]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_list(rows: list[Row]) -> bytes:
    return json.dumps(rows, indent=1).encode()


def as_document(rows: list[Row]) -> bytes:
    return json.dumps(rows[0], indent=1).encode()


def as_table(rows: list[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list({name: None for row in rows for name in row}))
    writer.writeheader()
    writer.writerows({name: value if isinstance(value, str) else json.dumps(value) for name, value in row.items()} for row in rows)  # fmt: skip  # noqa: E501
    return text.getvalue().encode("utf-8", "surrogatepass")


def as_parquet(rows: list[Row]) -> bytes:
    file = io.BytesIO()
    try:
        pq.write_table(pa.Table.from_pylist(rows), file)
    except (pa.ArrowException, UnicodeEncodeError, OverflowError):  # a column of two kinds
        return as_lines(rows)
    return file.getvalue()


WRITE: dict[str, Callable[[list[Row]], bytes]] = {
    "jsonl": as_lines,
    "jsonl.gz": lambda rows: gzip.compress(as_lines(rows), 1),
    "jsonl.zst": lambda rows: pa.compress(as_lines(rows), "zstd", asbytes=True),
    "json": as_list,
    "document.json": as_document,
    "csv": as_table,
    "parquet": as_parquet,
}
STRANGE = [
    None, True, 0, -1, 7, 1e308, float("nan"), float("inf"), 10**400, "", " ", "\n\nHuman:", "\ud800", "\u2028", "a" * 300,
    [], [[]], [None], {}, {"role": "user"}, [{"role": "user", "content": ["x"]}], [{"role": {}, "content": 1}],
]  # fmt: skip


def swapped(draw: random.Random, value: Any) -> Any:
    """Return a value with one part of it, anywhere in it, exchanged for something else, left out, or nested deeply."""
    if isinstance(value, dict) and value and draw.random() < 0.8:
        name = draw.choice(list(value))
        if draw.random() < 0.1:
            return {key: part for key, part in value.items() if key != name}
        return value | {name: swapped(draw, value[name])}
    if isinstance(value, list) and value and draw.random() < 0.8:
        place = draw.randrange(len(value))
        return [*value[:place], swapped(draw, value[place]), *value[place + 1 :]]
    if draw.random() < 0.02:
        for _ in range(400):
            value = [value]
        return value
    return draw.choice(STRANGE)


def flipped(draw: random.Random, content: bytes) -> bytes:
    damaged = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def cut(draw: random.Random, content: bytes) -> bytes:
    return content[: draw.randrange(len(content))]


def doubled(draw: random.Random, content: bytes) -> bytes:
    start, end = sorted(draw.randrange(len(content)) for _ in range(2))
    return content[:end] + content[start:]


def strewn(draw: random.Random, content: bytes) -> bytes:
    place = draw.randrange(len(content))
    return content[:place] + draw.randbytes(draw.randint(1, 12)) + content[place:]


def random_bytes(draw: random.Random, content: bytes) -> bytes:
    return content[: draw.choice([0, 4])] + draw.randbytes(draw.randint(0, 60))


DAMAGE = (flipped, cut, doubled, strewn, random_bytes)


def damaged(draw: random.Random, name: str, container: str) -> bytes:
    rows = ROWS[name] * draw.randint(1, 3)
    if draw.random() < 0.5:
        place = draw.randrange(len(rows))
        rows = [*rows[:place], swapped(draw, rows[place]), *rows[place + 1 :]]
        if not all(isinstance(row, dict) for row in rows):
            container = "jsonl"
        return WRITE[container](rows)
    return draw.choice(DAMAGE)(draw, WRITE[container](rows))


@pytest.mark.parametrize("part", range(PARTS))
def test_damaged_files_raise_nothing_but_our_errors(tmp_path: Path, part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    draw = random.Random(SEED + part)
    out, rejects = tmp_path / "out.jsonl", tmp_path / "out.rejects.jsonl"
    refused = 0
    for number in range(FILES // PARTS):
        name, container = draw.choice(list(ROWS)), draw.choice(list(WRITE))
        source = tmp_path / f"rows.{container}"
        source.write_bytes(content := damaged(draw, name, container))
        form = FORMATS[name]
        kind = draw.choice([kind for kind in KINDS if form.reads(kind)] or ["prompts"])
        skip, named = draw.random() < 0.3, draw.choice(["auto", name])
        try:
            if name.startswith("studio-") and draw.random() < 0.5:
                export_file(source, out, draw.choice(list(FORMATS)))
            else:
                import_file(ImportRequest(source, kind, named, skip_bad=skip), out)
            assert out.exists()
        except RlhfError as error:
            assert str(error).strip() and not out.exists() and not rejects.exists()
            refused += 1
        except Exception as error:
            raise AssertionError(f"part {part}, file {number}: {name} as {kind}: {content[:3000]!r}") from error
        out.unlink(missing_ok=True)
        rejects.unlink(missing_ok=True)
        source.unlink()
        assert not list(tmp_path.iterdir())
    assert 0.3 < refused / (FILES // PARTS) < 0.98  # both ways are taken
