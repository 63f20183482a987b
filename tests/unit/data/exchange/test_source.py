"""The rows of files of every kind, with the lines they begin on; what is damaged is named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlhf_core.data.exchange import source
from rlhf_core.data.exchange.source import read_blocks, read_rows, value_of
from rlhf_core.errors import DataError

ROWS = [{"prompt": "Why?\u2028Now."}, {"prompt": "Ünder"}]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()


def rows_of(path: Path) -> list[tuple[int, object]]:
    return [(number, value_of(row)) for number, row in read_rows(path)]


def zstd(content: bytes) -> bytes:
    return pa.compress(content, "zstd", asbytes=True)


def saved(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.jsonl", LINES),
        ("x.jsonl", b"\xef\xbb\xbf" + LINES),
        ("x.jsonl", LINES.replace(b"\n", b"\r\n")),
        ("x.jsonl", LINES.rstrip()),
        ("x.json", LINES),
        ("x", LINES),
        ("x.jsonl.gz", gzip.compress(LINES, mtime=0)),
        ("x.jsonl", gzip.compress(LINES, mtime=0)),
        ("x.jsonl.zst", zstd(LINES)),
    ],
)
def test_lines_are_rows(tmp_path: Path, name: str, content: bytes) -> None:
    assert rows_of(saved(tmp_path, name, content)) == [(1, ROWS[0]), (2, ROWS[1])]


def test_blank_lines_are_counted_and_are_no_rows(tmp_path: Path) -> None:
    assert [number for number, _ in rows_of(saved(tmp_path, "x.jsonl", b"\n \t\r\n" + LINES))] == [3, 4]


def test_a_list_has_rows_with_the_lines_they_begin_on(tmp_path: Path) -> None:
    content = "[\n {},\n\n {} ]".format(*(json.dumps(row, ensure_ascii=False) for row in ROWS)).encode()
    expected = [(2, ROWS[0]), (4, ROWS[1])]
    assert rows_of(saved(tmp_path, "x.json", content)) == expected
    assert rows_of(saved(tmp_path, "y.json.gz", gzip.compress(b"\xef\xbb\xbf" + content))) == expected


def test_a_list_longer_than_what_is_read_at_once_has_all_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "BLOCK", 7)
    monkeypatch.setattr(source, "ROWS", 3)
    rows = [{"n": n, "text": "ü" * n} for n in range(20)]
    path = saved(tmp_path, "x.json", json.dumps(rows, ensure_ascii=False, indent=1).encode())
    # Indented by one: each row takes four lines, the first begins on line 2.
    assert rows_of(path) == [(2 + 4 * n, row) for n, row in enumerate(rows)]


def test_lines_across_blocks_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "BLOCK", 7)
    assert rows_of(saved(tmp_path, "x.jsonl", LINES)) == [(1, ROWS[0]), (2, ROWS[1])]


def test_a_document_is_one_row(tmp_path: Path) -> None:
    assert rows_of(saved(tmp_path, "x.json", b'{\n "models": [\n1]}')) == [(1, {"models": [1]})]


def test_a_table_has_rows_with_the_lines_they_begin_on_and_no_empty_cells(tmp_path: Path) -> None:
    content = '\ufeffid,prompt,note\n1,"Two\nlines",\n2,"A ""b""",n\n'.encode()
    expected = [(2, {"id": "1", "prompt": "Two\nlines"}), (4, {"id": "2", "prompt": 'A "b"', "note": "n"})]
    assert rows_of(saved(tmp_path, "x.csv", content)) == expected
    assert rows_of(saved(tmp_path, "x.csv.gz", gzip.compress(content))) == expected
    assert rows_of(saved(tmp_path, "x.TSV", b"id\tprompt\n1\ta,b\n")) == [(2, {"id": "1", "prompt": "a,b"})]


def test_parquet_has_rows_with_their_places(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([*ROWS, {"prompt": None}]), tmp_path / "x.parquet")
    assert rows_of(tmp_path / "x.parquet") == [(1, ROWS[0]), (2, ROWS[1]), (3, {"prompt": None})]


def test_the_share_read_grows_to_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "BLOCK", 16)
    shares = [block.share for block in read_blocks(saved(tmp_path, "x.jsonl", LINES * 20))]
    assert shares == sorted(shares) and shares[-1] == 1.0 and shares[0] < 0.2


DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", gzip.compress(LINES * 50, mtime=0)[:-20], r"x\.jsonl: cannot be read to its end: .*Fetch it again"),
        ("x.jsonl", zstd(LINES * 50)[:-5], r"x\.jsonl: cannot be read to its end|not JSON"),
        ("x.json", b'{"a": 1\n "b"', r"x\.json:2: not JSON: Expecting ',' delimiter at column 2\. Expected one JSON object"),
        ("x.json", b'[{"a": 1},\n nope]', r"x\.json:2: not JSON: Expecting value\. Expected a JSON list of objects"),
        ("x.json", b'[\n{,\n]', r"x\.json:2: not JSON: Expecting property name"),
        ("x.json", b'[{"a": 1}', r"x\.json:1: not JSON: Expecting value"),
        ("x.json", b'{\n"a": "\xff"}', r"x\.json: byte 9 is not UTF-8\. Save the file as UTF-8"),
        ("x.json", b"[" + b"9" * 5000 + b"]", r"x\.json:1: Exceeds the limit \(4300 digits\)"),
        ("x.json", DEEP, r"x\.json:1: nested too deeply"),
        ("x.json", b'{"a":\n' + DEEP, r"x\.json: nested too deeply"),
        ("x.json", b'{"a":' + DEEP, r"x\.json: nested too deeply"),
        ("x.csv", b"a,b\n1,2\n1,2,3\n", r"x\.csv:3: more cells than the 2 of the header \(found \['3'\]\)"),
        ("x.csv", b'a,b\n1,"2\n', r"x\.csv:2: not CSV: unexpected end of data"),
        ("x.csv", b"a,b\n1,\xff\n", r"x\.csv: byte \d+ is not UTF-8"),
        ("x.parquet", b"PAR1" + b"\0" * 20, r"x\.parquet: .*Fetch it again"),
        ("x.jsonl", b'{"a": 1}\n{', r"not JSON: Expecting property name"),
        ("x.jsonl", b'{"a": "\\ud800"}\n', r"holds half of a surrogate pair"),
        ("x.jsonl", b"[1]\n", r"^$"),
    ],
)  # fmt: skip
def test_what_is_damaged_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = saved(tmp_path, name, content)
    if message == "^$":  # a list of what is no object is a list; its rows are refused where formats are told
        assert rows_of(path) == [(1, 1)]
        return
    with pytest.raises(DataError, match=message):
        rows_of(path)


def test_a_line_without_an_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "BLOCK", 16)
    monkeypatch.setattr(source, "LONGEST_ROW", 64)
    with pytest.raises(DataError, match=r"x\.jsonl:3: no end of the line after 4 MB\. Expected one JSON object a line"):
        rows_of(saved(tmp_path, "x.jsonl", b"{}\n{}\n" + b"x" * 200))


def test_a_missing_file_says_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.jsonl: no such file\. Check the path in the command"):
        rows_of(tmp_path / "x.jsonl")


@pytest.mark.parametrize("name", ["x.json", "x.csv"])
def test_long_rows_make_small_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Rows of 60 characters, blocks of 100: two rows pass 100, so that each block has two."""
    monkeypatch.setattr(source, "BLOCK", 100)
    rows = [{"a": "x" * 60} for _ in range(6)]
    content = json.dumps(rows) if name == "x.json" else "a\n" + "".join(row["a"] + "\n" for row in rows)
    assert [len(block.rows) for block in read_blocks(saved(tmp_path, name, content.encode()))] == [2, 2, 2]
