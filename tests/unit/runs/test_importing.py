"""Curves of other tools become runs: every number as it was, told where they come from, and nothing written on failure."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlhf_core.errors import DataError, RunError
from rlhf_core.runs.foreign.lines import metric_lines
from rlhf_core.runs.importing import import_curves
from rlhf_core.runs.launch import resume
from rlhf_core.runs.past import past_stages
from rlhf_core.runs.reader import RunReader, list_runs
from rlhf_core.runs.standing import standing
from rlhf_core.terminal import print_runs
from tests.event_files import simple, write_events

CSV = "step,_timestamp,loss,learning_rate,mystery\n1,100,0.1,0.001,7\n2,160,0.30000000000000004,,\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "theirs.csv"
    path.write_text(CSV, encoding="utf-8")
    return path


def test_an_imported_run_reads_like_ours_and_says_where_it_is_from(table: Path, tmp_path: Path):
    made = import_curves(table, tmp_path / "runs" / "theirs", stage="sft")
    (path,) = made.runs
    assert list_runs(tmp_path / "runs") == [path]
    rows = RunReader(path).metrics("sft")
    assert rows.columns.tolist() == ["step", "time", "train/loss", "optim/lr", "mystery"]
    assert rows["step"].tolist() == [1, 2] and rows["time"].tolist() == [100, 160]
    assert rows["train/loss"].tolist() == [0.1, 0.30000000000000004]  # to the last bit
    np.testing.assert_array_equal(rows["optim/lr"], [0.001, np.nan])
    status = RunReader(path).status()
    assert (status.state, status.imported) == ("complete", f"CSV, {tmp_path.name}/theirs.csv")
    (stage,) = status.stages  # not five, of which four wait for ever
    assert (stage.name, stage.state, stage.step, stage.total, stage.seconds) == ("sft", "complete", 2, 2, 60)
    assert made.sentences == (
        f"{table}: CSV",
        f"{path}: written",
        "  sft, as asked: 2 rows to step 2, 3 metrics",
        "  loss is train/loss here",
        "  learning_rate is optim/lr here",
    )


def test_an_imported_run_cannot_go_on_and_is_no_measure_of_this_machine(table: Path, tmp_path: Path):
    import_curves(table, tmp_path / "runs" / "theirs")
    path = tmp_path / "runs" / "theirs"
    assert standing(RunReader(path)).state == "recorded"
    assert past_stages([path]) == []
    with pytest.raises(RunError, match="was recorded elsewhere and cannot go on here"):
        resume(path)


def test_what_cannot_be_told_stands_as_other_training_and_says_so(table: Path, tmp_path: Path):
    made = import_curves(table, tmp_path / "theirs")
    assert RunReader(tmp_path / "theirs").status().stages[0].name == "other"
    assert "  other, not told by what it logs: 2 rows to step 2, 3 metrics" in made.sentences
    assert "  give the stage where it is one of pretrain, sft, reward, ppo" in made.sentences


def test_a_dry_run_says_the_same_and_writes_nothing(table: Path, tmp_path: Path):
    before = sorted(tmp_path.rglob("*"))
    dry = import_curves(table, tmp_path / "runs" / "theirs", dry_run=True)
    assert sorted(tmp_path.rglob("*")) == before
    assert f"{tmp_path / 'runs' / 'theirs'}: would be written" in dry.sentences
    assert import_curves(table, tmp_path / "runs" / "theirs").runs == dry.runs


def test_several_runs_stand_beside_each_other_and_stages_of_one_together(tmp_path: Path):
    """As our own TensorBoard files lie in a run root: RUN/STAGE/tensorboard."""
    for run in ("a", "b!"):
        for stage in ("sft", "ppo"):
            write_events(tmp_path / "logs" / run / stage / "tensorboard", [simple(1, 5.0, optim__lr=1.5)])
    made = import_curves(tmp_path / "logs", tmp_path / "theirs")
    assert [path.name for path in made.runs] == ["theirs-a", "theirs-b"]
    for path in made.runs:
        assert [stage.name for stage in RunReader(path).status().stages] == ["sft", "ppo"]
        assert RunReader(path).metrics("ppo")["optim/lr"].tolist() == [1.5]


def test_two_series_of_one_stage_are_not_put_into_one(tmp_path: Path):
    for stage in ("sft", "ppo"):
        write_events(tmp_path / "logs" / stage, [simple(1, 5.0, a=1.5)])
    with pytest.raises(DataError, match="two parts of one run, 'sft' the second of them, would both be stage reward"):
        import_curves(tmp_path / "logs", tmp_path / "theirs", stage="reward")


def test_nothing_is_written_over_and_nothing_at_all_on_failure(table: Path, tmp_path: Path):
    import_curves(table, tmp_path / "theirs")
    written = {path: path.read_bytes() for path in (tmp_path / "theirs").rglob("*") if path.is_file()}
    with pytest.raises(RunError, match=r"a run of this name is there already\. Choose another name"):
        import_curves(table, tmp_path / "theirs")
    assert {path: path.read_bytes() for path in (tmp_path / "theirs").rglob("*") if path.is_file()} == written
    table.write_text(CSV + "3,170,oops,,\n", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=r"theirs\.csv:4: loss: expected a number \(found 'oops'\)"):
        import_curves(table, tmp_path / "other")
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(DataError, match=r"unknown stage \(found 'dpo'\)\. Stages: pretrain, sft, reward, ppo, other"):
        import_curves(table, tmp_path / "other", stage="dpo")


def test_a_folder_that_cannot_be_written_says_so(table: Path, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written: Not a directory"):
        import_curves(table, tmp_path / "file" / "theirs")


NUMBERS = st.floats(width=64)


@given(st.lists(st.tuples(st.integers(0, 2**53), NUMBERS, NUMBERS), min_size=1, max_size=6))
def test_every_number_reads_back_to_the_last_bit(rows: list[tuple[int, float, float]]):
    frame = pd.DataFrame(rows, columns=["step", 'a "quoted" ü', "b"]).astype({"step": np.int64})
    lines = b"".join(metric_lines(frame)).split(b"\n")
    assert lines.pop() == b""
    for line, (step, a, b) in zip(lines, rows, strict=True):
        finite = {name: value for name, value in (('a "quoted" ü', a), ("b", b)) if np.isfinite(value)}
        assert json.loads(line) == {"step": step} | finite


def test_the_list_of_runs_says_what_was_imported(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    import_curves(table, tmp_path / "runs" / "theirs")
    print_runs(tmp_path / "runs")
    header, row, source = capsys.readouterr().out.splitlines()
    assert header.split() == ["run", "state", "sft", "reward", "ppo", "generate", "evaluate", "other"]
    assert row.split() == ["theirs", "imported", "–", "–", "–", "–", "–", "complete"]
    assert source == f"theirs: imported from CSV, {tmp_path.name}/theirs.csv"
