"""JSONL in and out: every damaged line is named with file, line and field; whole files appear at once."""

from __future__ import annotations

import errno
import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlhf_core.data import io
from rlhf_core.data.io import read_jsonl, write_json, write_jsonl, write_text
from rlhf_core.data.records import Completion, Prompt
from rlhf_core.errors import DataError

GOOD = b'{"id": "p1", "prompt": "Why?"}\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "prompts.jsonl"


def problem(file: Path, content: bytes) -> str:
    """Return the message of reading `content` as prompts."""
    file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_jsonl(file, Prompt)
    return str(caught.value)


def test_reads_rows_and_passes_over_blank_lines_and_a_byte_order_mark(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + GOOD + b"\n  \n" + GOOD.replace(b"p1", b"p2").rstrip())
    assert [row.id for row in read_jsonl(file, Prompt)] == ["p1", "p2"]


def test_a_packed_file_is_read_as_what_it_holds(file: Path) -> None:
    for pack in (gzip.compress, lambda content: pa.compress(content, "zstd", asbytes=True)):
        file.write_bytes(pack(b"\xef\xbb\xbf" + GOOD))
        assert [row.id for row in read_jsonl(file, Prompt)] == ["p1"]


@pytest.mark.parametrize("damage", [lambda b: b[:-12], lambda b: b[:12] + b"\xff" * 9 + b[21:], lambda b: b[:2]])
def test_a_damaged_gzip_file_is_named(file: Path, damage: Callable[[bytes], bytes]) -> None:
    assert f"{file}: cannot be read to its end" in problem(file, damage(gzip.compress(GOOD * 20)))


def test_windows_line_ends_are_white_space(file: Path) -> None:
    file.write_bytes(GOOD.replace(b"\n", b"\r\n"))
    assert read_jsonl(file, Prompt)[0].prompt == "Why?"


def test_a_missing_field_is_named_with_file_line_and_field(file: Path) -> None:
    message = problem(file, GOOD + b'{"id": "p2"}\n')
    assert f"{file}:2: prompt: Field required" in message
    assert f"Nothing was read from {file}. A Prompt has the fields: id, prompt, history, category, split" in message


def test_a_wrong_type_shows_what_was_found(file: Path) -> None:
    assert f"{file}:1: prompt: Input should be a valid string (found 7)" in problem(
        file, b'{"id": "p1", "prompt": 7}\n'
    )


def test_an_unknown_field_is_refused(file: Path) -> None:
    message = problem(file, b'{"id": "p1", "prompt": "Why?", "categry": "honest"}\n')
    assert f"{file}:1: categry: Extra inputs are not permitted (found 'honest')" in message


@pytest.mark.parametrize("empty", ["", " ", "\\n\\t", "\\u00a0", "\\u3000"])
def test_an_empty_prompt_is_refused(file: Path, empty: str) -> None:
    message = problem(file, b'{"id": "p1", "prompt": "' + empty.encode() + b'"}\n')
    assert f"{file}:1: prompt: is empty; expected some text" in message


def test_a_line_that_is_not_json_is_named_with_the_column(file: Path) -> None:
    # The value of "prompt" is missing; the first surprise is the closing brace.
    text = b'{"id": "p1", "prompt": }\n'
    assert f"{file}:2: not JSON: Expecting value at column {text.index(b'}') + 1}" in problem(file, GOOD + text)


def test_a_torn_last_line_is_named(file: Path) -> None:
    assert f"{file}:2: not JSON" in problem(file, GOOD + GOOD[:12])


def test_json_that_is_no_object_is_refused(file: Path) -> None:
    assert f"{file}:1: expected a JSON object, found list" in problem(file, b"[1]\n")


def test_bytes_that_are_not_utf8_are_named_with_their_place(file: Path) -> None:
    line = '{"id": "p1", "prompt": "café"}\n'.encode("latin-1")
    message = problem(file, GOOD + line)
    assert f"{file}:2: byte {line.index(0xE9) + 1} is not UTF-8; save the file as UTF-8" in message


def test_utf16_is_refused_with_a_message(file: Path) -> None:
    assert "is not UTF-8; save the file as UTF-8" in problem(file, GOOD.decode().encode("utf-16"))


def test_all_problems_are_listed_up_to_twenty(file: Path) -> None:
    message = problem(file, b"x\n" * 25)
    assert f"{file}:20: not JSON" in message and f"{file}:21:" not in message
    assert "… and 5 more" in message


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_a_file_without_rows_is_refused(file: Path, content: bytes) -> None:
    assert f"{file}: holds no rows. Expected one JSON Prompt a line" in problem(file, content)


def test_a_missing_file_says_where_to_look(file: Path) -> None:
    with pytest.raises(DataError, match=r"no such file\. Check the path in the configuration or the command"):
        read_jsonl(file, Prompt)


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)


@given(TEXTS)
def test_any_text_comes_back_as_it_went(text: str) -> None:
    """Line separators, controls, right-to-left marks, emoji and markup are text like any other."""
    line = io.json.dumps({"id": "c", "text": text}, ensure_ascii=False)
    assert Completion.model_validate(io.parse_row(line.encode())).text == text


STRANGE = [
    "<script>alert(1)</script>",
    "**bold** [x](javascript:1)",
    "👩‍🔬 🏳️‍🌈",
    "שלום \u202eabc",
    "a\u2028b\u2029c\x85d",
    "\x00\x1f",
    "\\n",
]


@pytest.mark.parametrize("text", STRANGE)
def test_strange_text_survives_a_file(file: Path, text: str) -> None:
    write_jsonl(file, [Completion(id="c", text=text), {"id": "d", "text": text}])
    assert [row.text for row in read_jsonl(file, Completion)] == [text, text]
    assert file.read_bytes().count(b"\n") == 2


def test_nan_never_reaches_a_file(file: Path) -> None:
    write_json(file, {"score": 1.0})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(file, {"score": float("nan")})
    assert file.read_text() == '{\n "score": 1.0\n}\n'


def test_writing_makes_the_folders_and_leaves_nothing_beside(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b.txt", "ü\n")
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b.txt"]
    assert (tmp_path / "a" / "b.txt").read_bytes() == "ü\n".encode()


def test_a_full_disk_keeps_the_old_file_whole(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_text(file, "old\n")
    monkeypatch.setattr(io.os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        write_text(file, "new\n")
    assert file.read_text() == "old\n"
