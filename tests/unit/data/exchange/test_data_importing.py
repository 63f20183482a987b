"""Imports: all records or none, told row by row; the file that was there stays until they are all written."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import Mock

import psutil
import pytest

from rlhf_core.data.exchange import importing, source
from rlhf_core.data.exchange.importing import ImportRequest, import_file, preview
from rlhf_core.data.exchange.workers import LostProcess
from rlhf_core.errors import DataError
from tests.exchange_rows import ROWS, imported, read_rows, write_rows

GOOD = [{"prompt": f"Why {n}?", "chosen": "So.", "rejected": "No."} for n in range(30)]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return tmp_path / "rows.jsonl"


def add(path: Path, content: bytes) -> None:
    path.write_bytes(path.read_bytes() + content)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def refusal(path: Path, kind: str = "preferences", **how: bool) -> str:
    with pytest.raises(DataError) as caught:
        imported(path, kind, **how)
    return str(caught.value)


def test_records_are_ours_with_ids_of_their_lines(rows: Path) -> None:
    rows.write_bytes(b"\xef\xbb\xbf\r\n" + write_rows(rows, GOOD[:2]).read_bytes().replace(b"\n", b"\r\n"))
    about, records = imported(rows, "preferences")
    assert [record["id"] for record in records] == ["trl-preference-000002", "trl-preference-000003"]
    assert records[0] == {
        "id": "trl-preference-000002", "prompt": "Why 0?", "category": "", "chosen": "So.", "rejected": "No.",
        "prompt_id": "", "weight": 1.0,
    }  # fmt: skip
    assert about.describe() == ["2 rows read as trl-preference, 2 preferences written"]


def test_problems_are_listed_up_to_twenty_and_nothing_is_written(rows: Path, tmp_path: Path) -> None:
    bad = [{**row, "chosen": 7} for row in GOOD]
    write_rows(rows, [GOOD[0], *bad])
    (tmp_path / "out.jsonl").write_text("as it was")
    message = refusal(rows)
    assert f"{rows}:2: chosen.str: Input should be a valid string (found 7)" in message or (
        f"{rows}:2: chosen" in message
    )
    assert len([line for line in message.split("\n") if line.startswith(str(rows))]) == 20
    assert message.endswith(
        "… there may be more\nRead as trl-preference. Nothing was written. "
        "--skip-bad writes the other rows, and these to a file of rejects"
    )
    assert (tmp_path / "out.jsonl").read_text() == "as it was" and names(tmp_path) == {"rows.jsonl", "out.jsonl"}


def test_a_bad_last_row_refuses_them_all(rows: Path, tmp_path: Path) -> None:
    add(write_rows(rows, GOOD), b'{"prompt": }\n\xff\n["a"]\n')
    message = refusal(rows)
    assert message.split("\n")[:3] == [
        f"{rows}:31: not JSON: Expecting value at column 12",
        f"{rows}:32: byte 1 is not UTF-8; save the file as UTF-8",
        f"{rows}:33: expected a JSON object, found list",
    ]
    assert names(tmp_path) == {"rows.jsonl"}


def test_a_damaged_end_refuses_them_all(rows: Path, tmp_path: Path) -> None:
    content = gzip.compress(write_rows(rows, GOOD * 50).read_bytes())
    rows.write_bytes(content[:-30])
    assert "cannot be read to its end" in refusal(rows)
    assert names(tmp_path) == {"rows.jsonl"}


def test_bad_rows_are_skipped_on_request_and_kept_beside(rows: Path, tmp_path: Path) -> None:
    add(write_rows(rows, [{**GOOD[0], "chosen": 7}, *GOOD[1:3]]), b"\xff{\n")
    about, records = imported(rows, "preferences", skip_bad=True)
    assert [record["prompt"] for record in records] == ["Why 1?", "Why 2?"]
    assert about.describe() == ["4 rows read as trl-preference, 2 preferences written", "2 rejected"]
    rejects = read_rows(tmp_path / "out.rejects.jsonl")
    assert [reject["line"] for reject in rejects] == [1, 4]
    assert json.loads(rejects[0]["row"]) == {**GOOD[0], "chosen": 7}
    assert rejects[1] == {
        "line": 4,
        "problems": ["byte 1 is not UTF-8; save the file as UTF-8"],
        "row": "\\xff{",
    }
    imported(write_rows(rows, GOOD), "preferences", skip_bad=True)
    assert names(tmp_path) == {"rows.jsonl", "out.jsonl"}  # the rejects of another import would mislead


def test_rejects_of_a_list_are_json_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([*GOOD[:2], {"prompt": "\ud800", "chosen": "a", "rejected": "b"}]))
    assert "rows.json:1: holds half of a surrogate pair, which is no text" in refusal(path)
    imported(path, "preferences", skip_bad=True)
    assert len(read_rows(tmp_path / "out.rejects.jsonl")) == 1


def test_nothing_but_bad_or_dropped_rows_is_refused(rows: Path, tmp_path: Path) -> None:
    write_rows(rows, [{"prompt": "x", "chosen": "a", "rejected": "a"}])
    assert refusal(rows) == f"{rows}: holds no preferences (found '1 dropped: the two answers are the same')"
    rows.write_text('{"prompt": "x", "chosen": "", "rejected": "b"}\n{\n')
    assert "1 dropped: an answer is empty; 1 rejected" in refusal(rows, skip_bad=True)
    assert names(tmp_path) == {"rows.jsonl"}


@pytest.mark.parametrize("content", ["", "\n \n", "[]", "[ ]\n"])
def test_a_file_without_rows_is_refused(rows: Path, content: str) -> None:
    rows.write_text(content)
    assert refusal(rows) == f"{rows}: holds no rows"


def test_a_first_row_that_is_no_row_is_named(rows: Path) -> None:
    rows.write_text("\nnope\n")
    assert refusal(rows) == f"{rows}:2: not JSON: Expecting value at column 1"
    assert refusal(rows, skip_bad=True) == f"{rows}:2: not JSON: Expecting value at column 1"


def test_an_unknown_kind_is_refused(rows: Path) -> None:
    assert "no such kind of data (found 'poems'). Expected one of prompts, demonstrations" in refusal(
        write_rows(rows, GOOD), "poems"
    )


def test_what_is_read_is_not_written_over(rows: Path, tmp_path: Path) -> None:
    write_rows(rows, GOOD)
    for out, message in (
        (rows, "is the file that is read. Name another file to write to"),
        (tmp_path, "is a folder. Name a file in it"),
        (tmp_path / "out.parquet", "names a .parquet file. What is written is JSON: name it .jsonl"),
    ):
        with pytest.raises(DataError) as caught:
            import_file(ImportRequest(rows, "preferences"), out)
        assert str(caught.value) == f"{out}: {message}"
    assert len(read_rows(rows)) == 30


def test_prompts_that_ask_the_same_are_merged(rows: Path) -> None:
    about, records = imported(write_rows(rows, [*GOOD[:3], *GOOD[:2]]), "prompts")
    assert [record["prompt"] for record in records] == ["Why 0?", "Why 1?", "Why 2?"]
    assert about.describe() == [
        "5 rows read as trl-preference, 3 prompts written",
        "2 merged with the same prompt before them",
    ]


def test_prompts_that_end_alike_after_other_turns_are_kept(rows: Path) -> None:
    talks = [[("user", first), ("assistant", "Yes."), ("user", "Why?")] for first in ("Is it?", "Was it?", "Is it?")]
    write_rows(rows, [{"prompt": [{"role": role, "content": text} for role, text in talk]} for talk in talks])
    about, records = imported(rows, "prompts")
    assert [record["history"][0]["content"] for record in records] == ["Is it?", "Was it?"] and about.merged == 1


def test_preferences_on_one_prompt_are_all_kept(rows: Path) -> None:
    assert len(imported(write_rows(rows, [GOOD[0]] * 3), "preferences")[1]) == 3


def test_one_process_and_two_write_the_same_bytes(rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vote = ROWS["summarize-from-feedback"][0]
    add(write_rows(rows, [vote | {"worker": f"w{n % 7}", "choice": n % 2} for n in range(40)]), b"{\n")
    monkeypatch.setattr(source, "BLOCK", 2000)
    monkeypatch.setitem(
        sys.modules, "__main__", ModuleType("__main__")
    )  # tests of pages leave theirs, which a process would run
    written = []
    for processes in (1, 2):
        monkeypatch.setattr(importing, "LARGE", 0)
        monkeypatch.setattr(importing, "MOST", processes)
        monkeypatch.setattr(importing.os, "cpu_count", lambda: 2)
        about, _ = imported(rows, "votes", tmp_path / f"{processes}.jsonl", salt=b"key", skip_bad=True)
        rejects = (tmp_path / f"{processes}.rejects.jsonl").read_bytes()
        written.append((about, (tmp_path / f"{processes}.jsonl").read_bytes(), rejects))
    assert written[0] == written[1]


def test_a_killed_process_is_told_and_nothing_is_written(rows: Path, tmp_path: Path) -> None:
    """As the system does when memory runs out: the command as people type it, and one of its processes killed."""
    big = [
        {"prompt": f"Why {n}? {'x' * 1000}", "chosen": "So.", "rejected": "No."} for n in range(importing.LARGE // 1000)
    ]
    write_rows(rows, big)
    out = tmp_path / "out.jsonl"
    out.write_text("as it was")
    command = [sys.executable, "-m", "rlhf_core", "data", "import", str(rows), str(out), "--as", "preferences"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as importer:
        killed = None
        while killed is None and importer.poll() is None:
            own = psutil.Process(importer.pid).children()
            killed = next((one for one in own if "spawn_main" in " ".join(one.cmdline())), None)
        assert killed is not None
        killed.kill()
        _, said = importer.communicate(timeout=60)
    assert importer.returncode == 1 and "Traceback" not in said
    assert re.search(
        rf"^error: {rows}: a process at work on it was killed by signal 9, as happens when memory runs out. Nothing was written. "
        r"An import takes about 300 MB, more where rows are long; [\d,]+ MB are free now. Close other programs or move to a "
        r"larger machine, then run the same command again$",
        said,
        re.M,
    ), said
    assert out.read_text() == "as it was" and names(tmp_path) == {"rows.jsonl", "out.jsonl"}


def test_memory_that_runs_out_is_told(rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for error, what in ((MemoryError(), "memory ran out"), (LostProcess(1), "a process at work on it ended by itself")):
        monkeypatch.setattr(importing, "convert_all", Mock(side_effect=error))
        assert refusal(write_rows(rows, GOOD)).startswith(
            f"{rows}: {what}. Nothing was written. An import takes about 300"
        )
        assert names(tmp_path) == {"rows.jsonl"}


def test_a_preview_shows_five_records_and_writes_nothing(rows: Path, tmp_path: Path) -> None:
    name, lines = preview(ImportRequest(write_rows(rows, GOOD), "preferences"))
    assert name == "trl-preference" and [json.loads(line)["prompt"] for line in lines] == [
        f"Why {n}?" for n in range(5)
    ]
    assert names(tmp_path) == {"rows.jsonl"}


def test_a_preview_tells_what_is_wrong_with_the_rows_it_looked_at(rows: Path) -> None:
    write_rows(rows, [GOOD[0], {"prompt": 7}, *GOOD])
    with pytest.raises(DataError, match=r"rows\.jsonl:2: chosen: Field required"):
        preview(ImportRequest(rows, "preferences"))
    assert len(preview(ImportRequest(rows, "preferences", skip_bad=True))[1]) == 5


def test_progress_ends_at_one(rows: Path, tmp_path: Path) -> None:
    shares: list[float] = []
    import_file(ImportRequest(write_rows(rows, GOOD), "preferences"), tmp_path / "out.jsonl", shares.append)
    assert shares and shares == sorted(shares) and shares[-1] == 1.0
