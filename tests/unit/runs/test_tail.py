"""A metrics file is followed while it grows, tears, is rewound or damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlhf_core.runs.directory import StageDirectory
from rlhf_core.runs.tail import JsonlTail


@pytest.fixture
def stage(tmp_path: Path) -> StageDirectory:
    return StageDirectory(tmp_path)


@pytest.fixture
def tail(stage: StageDirectory) -> JsonlTail:
    return JsonlTail(stage.path / "metrics.jsonl")


def steps(tail: JsonlTail) -> list[int]:
    return [row["step"] for row in tail.read()]


def test_rows_appear_as_they_are_written(stage: StageDirectory, tail: JsonlTail) -> None:
    assert steps(tail) == []
    stage.log(1, {})
    assert steps(tail) == [1]
    stage.log(2, {})
    assert steps(tail) == [1, 2]


def test_only_new_bytes_are_read(stage: StageDirectory, tail: JsonlTail) -> None:
    for step in range(100):
        stage.log(step, {})
    tail.read()
    # An early line is changed behind the reader's back, at equal length: a reader that starts over would meet it.
    path = stage.path / "metrics.jsonl"
    path.write_bytes(path.read_bytes().replace(b'{"step": 0,', b'{"step": 7,', 1))
    stage.log(100, {})
    assert steps(tail) == list(range(101))


def test_a_half_written_last_line_waits_and_is_then_read(stage: StageDirectory, tail: JsonlTail) -> None:
    stage.log(1, {})
    path = stage.path / "metrics.jsonl"
    with path.open("ab") as file:
        file.write(b'{"step": 2, "objecti')
    assert steps(tail) == [1]
    assert tail.damaged == 0
    with path.open("ab") as file:
        file.write(b've/kl": 1.5}\n')
    assert tail.read()[-1] == {"step": 2, "objective/kl": 1.5}


def test_a_damaged_line_in_the_middle_is_passed_over_and_counted(stage: StageDirectory, tail: JsonlTail) -> None:
    stage.log(1, {})
    with (stage.path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 2, \xff\n[3]\n{"time": 4}\n\n')
    stage.log(5, {})
    assert steps(tail) == [1, 5]
    assert tail.damaged == 3  # not JSON, not an object, no step; the blank line is nothing


def test_a_rewound_file_is_read_from_the_start(stage: StageDirectory, tail: JsonlTail) -> None:
    for step in (1, 2, 3, 4):
        stage.log(step, {})
    assert steps(tail) == [1, 2, 3, 4]
    stage.rewind(2)
    for step in (3, 4, 5):
        stage.log(step, {"resumed": 1.0})
    rows = tail.read()
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row.get("resumed") for row in rows] == [None, None, 1.0, 1.0, 1.0]


def test_a_file_that_went_away_is_empty_again(stage: StageDirectory, tail: JsonlTail) -> None:
    stage.log(1, {})
    tail.read()
    (stage.path / "metrics.jsonl").unlink()
    assert steps(tail) == []


def test_the_rows_handed_out_may_be_changed_without_harm(stage: StageDirectory, tail: JsonlTail) -> None:
    stage.log(1, {})
    tail.read().clear()
    assert steps(tail) == [1]
