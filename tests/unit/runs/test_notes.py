"""Notes of a run: kept beside it, never lost to somebody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlhf_core.errors import RunError
from rlhf_core.runs.notes import MOST, read_notes, write_notes


def test_notes_are_kept_and_go_when_nothing_is_left(tmp_path: Path) -> None:
    assert read_notes(tmp_path) == ""
    write_notes(tmp_path, "β too low\n\n- try 0.1", before="")
    assert read_notes(tmp_path) == "β too low\n\n- try 0.1"
    write_notes(tmp_path, " ", before="β too low\n\n- try 0.1")
    assert list(tmp_path.iterdir()) == []


def test_what_somebody_else_wrote_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    write_notes(tmp_path, "theirs", before="")
    with pytest.raises(RunError, match=r"notes\.md: changed by somebody else meanwhile\. Copy what you wrote"):
        write_notes(tmp_path, "mine", before="")
    assert read_notes(tmp_path) == "theirs"


def test_notes_beyond_the_limit_and_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="too long"):
        write_notes(tmp_path, "x" * (MOST + 1), before="")
    (tmp_path / "notes.md").write_bytes(b"\xff")
    with pytest.raises(RunError, match="not text in UTF-8"):
        read_notes(tmp_path)
