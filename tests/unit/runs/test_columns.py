"""A metrics file read as columns says the same as read line by line, whatever is in it, and only once."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rlhf_core.runs import tail
from rlhf_core.runs.columns import MetricsTail
from rlhf_core.runs.directory import StageDirectory

VALUES = st.none() | st.floats(allow_nan=False) | st.integers(-(2**70), 2**70) | st.booleans() | st.text(max_size=3)
ROWS = st.dictionaries(st.sampled_from(["a/b", "c", "é"]), VALUES)
LINES = st.one_of(
    st.tuples(st.integers(0, 9), ROWS).map(lambda made: json.dumps({"step": made[0]} | made[1])),
    st.sampled_from(
        [
            "",
            "oops",
            "[1]",
            '{"step": 1.5}',
            '{"step": "1"}',
            '{"a/b": 2}',
            '{"step": 3, "c": NaN}',
            '{"step": 4} {"step": 5}',
        ]
    ),
)


def by_hand(lines: list[str]) -> list[tuple[int, dict[str, float]]]:
    """What each line says: its step and its numbers; nothing of a damaged one."""
    rows = []
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append((row.pop("step"), {name: float(v) for name, v in row.items() if is_number(v)}))
    return rows


def is_number(value: object) -> bool:
    """Whether a value is drawn: text that spells a number is one."""
    try:
        return value is not None and math.isfinite(float(value))  # pyright: ignore[reportArgumentType]
    except (ValueError, OverflowError):
        return False


@example(["", '{"step": 4} {"step": 5}'])
@example(['{"step":', "4}"])
@given(st.lists(LINES, max_size=12))
def test_any_lines_give_the_numbers_they_hold(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.mktemp("metrics") / "metrics.jsonl"
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    reader = MetricsTail(path)
    frame = reader.frame()
    expected = by_hand(lines)
    assert frame["step"].tolist() == [step for step, _ in expected]
    assert frame["step"].dtype == np.int64
    others = [name for name in frame.columns if name != "step"]
    assert all(frame[name].dtype == np.float64 for name in others)
    found = [{n: row[n] for n in others if np.isfinite(row[n])} for row in frame.to_dict("records")]
    assert found == [row for _, row in expected]
    assert reader.damaged == sum(bool(line.strip()) for line in lines) - len(expected)


def test_pieces_of_a_long_file_are_one_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "PIECE", 100)  # bytes: lines lie across the borders
    stage = StageDirectory(tmp_path)
    for step in range(50):
        stage.log(step, {"a": step / 3} | ({"late": 1.0} if step > 40 else {}))
    frame = MetricsTail(tmp_path / "metrics.jsonl").frame()
    assert frame["step"].tolist() == list(range(50)) and frame["a"].tolist() == [step / 3 for step in range(50)]
    assert frame["late"].isna().tolist() == [step <= 40 for step in range(50)]


def test_the_revision_changes_with_the_rows_and_only_then(tmp_path: Path) -> None:
    stage, reader = StageDirectory(tmp_path), MetricsTail(tmp_path / "metrics.jsonl")
    seen = []
    for act in (
        lambda: None,
        lambda: stage.log(1, {"a": 1.0}),
        lambda: None,
        lambda: stage.log(2, {}),
        lambda: stage.rewind(1),
    ):
        act()
        reader.frame()
        seen.append(reader.revision)
    nothing, one, still_one, two, rewound = seen
    assert nothing != one == still_one != two != rewound


def test_an_unchanged_file_is_not_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    StageDirectory(tmp_path).log(1, {"a": 1.0})
    reader = MetricsTail(tmp_path / "metrics.jsonl")
    reader.frame()
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("opened"))
    assert reader.frame()["a"].tolist() == [1.0]


def test_a_frame_handed_out_may_be_changed_without_harm(tmp_path: Path) -> None:
    StageDirectory(tmp_path).log(1, {"a": 1.0})
    reader = MetricsTail(tmp_path / "metrics.jsonl")
    mine = reader.frame()
    mine.loc[0, "a"] = 9.0
    assert mine["a"].tolist() == [9.0] and reader.frame()["a"].tolist() == [1.0]
