"""CSV curves: wide, long, W&B's exports; gzip; the quick way and the careful one agree; problems by line."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlhf_core.errors import DataError
from rlhf_core.runs.foreign import read_curves, tables


def read(path: Path, text: str) -> dict[str, pd.DataFrame]:
    path.write_text(text, encoding="utf-8")
    return {name: series.rows for name, series in read_curves(path).items()}


def records(frame: pd.DataFrame) -> list[dict[str, float]]:
    """The rows with what they have."""
    return [{k: v for k, v in row.items() if not np.isnan(v)} for row in frame.to_dict("records")]


def test_a_wide_table_has_a_column_for_each_metric(tmp_path: Path):
    rows = read(tmp_path / "a.csv", "step,loss,lr\n1,0.5,0.1\n2,,0.05\n")["."]
    assert records(rows) == [{"step": 1, "loss": 0.5, "lr": 0.1}, {"step": 2, "lr": 0.05}]


def test_a_long_table_has_a_line_for_each_value(tmp_path: Path):
    rows = read(tmp_path / "a.csv", "metric,value,step\nloss,0.5,1\nloss,0.25,2\nlr,0.1,1\nloss,9,2\n")["."]
    first, second, again = records(rows)
    assert (first, second) == ({"step": 1, "loss": 0.5, "lr": 0.1}, {"step": 2, "loss": 0.25})
    assert again == {"step": 2, "loss": 9}  # logged twice at a step: both are kept


def test_a_history_of_wandb_keeps_its_times_and_joins_what_was_logged_at_one_step(tmp_path: Path):
    text = "_step,_runtime,_timestamp,train/loss,note\n0,1.5,1700000000.5,2.5,\n0,1.6,1700000000.75,,hello\n3,4,1700000003,1,x\n"
    path = tmp_path / "a.csv"
    rows = read(path, text)["."]
    assert records(rows) == [
        {"step": 0, "time": 1700000000.5, "train/loss": 2.5},
        {"step": 3, "time": 1700000003, "train/loss": 1},
    ]
    assert read_curves(path)["."].left_out == ("note: no number",)


def test_a_chart_of_wandb_holds_several_runs(tmp_path: Path):
    header = '"Step","calm-sea-1 - loss","calm-sea-1 - loss__MIN","calm-sea-1 - loss__MAX","wild-owl-2 - loss"\n'
    text = header + '"0","1","0.5","2",""\n"5","0.5","0","1","4"\n'
    runs = read(tmp_path / "wandb_export.csv", text)
    assert records(runs["calm-sea-1"]) == [{"step": 0, "loss": 1}, {"step": 5, "loss": 0.5}]
    assert records(runs["wild-owl-2"]) == [{"step": 5, "loss": 4}]


def test_a_column_may_name_the_run_and_times_may_be_dates(tmp_path: Path):
    """1970-01-01T00:01:00 in UTC is 60 seconds; with +01:00 an hour less."""
    text = "run_name,step,timestamp,loss\na,1,1970-01-01T00:01:00,0.5\nb,1,1970-01-01 02:00:00+01:00,0.25\na,2,,NaN\na,2,,4\n"
    runs = read(tmp_path / "a.csv", text)
    assert records(runs["a"])[0] == {"step": 1, "time": 60, "loss": 0.5}
    assert records(runs["b"]) == [{"step": 1, "time": 3600, "loss": 0.25}]


def test_packing_a_byte_order_mark_and_windows_lines_change_nothing(tmp_path: Path):
    text = "step,loss\n1,0.5\n2,0.25\n"
    plain = read(tmp_path / "a.csv", text)["."]
    packed = tmp_path / "b.csv.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    other = tmp_path / "d.csv.zst"
    other.write_bytes(pa.compress(text.encode(), "zstd", asbytes=True))
    marked = tmp_path / "c.csv"
    marked.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    for path in (packed, other, marked):
        pd.testing.assert_frame_equal(read_curves(path)["."].rows, plain)


def test_a_packed_file_that_is_torn_is_refused(tmp_path: Path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"step,loss\n" + b"1,0.5\n" * 40_000)[:-20])
    with pytest.raises(DataError, match=r"a\.csv\.gz: cannot be read to its end: .*\. Fetch it again"):
        read_curves(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("step,loss\n1,0.5\n2.5,1\n", r":3: step: expected a whole number of 0 or more \(found '2.5'\)"),
        ("step,loss\n1,0.5\n,1\n", r":3: step: expected a whole number of 0 or more \(found ''\)"),
        ("step,loss\n-1,0.5\n", r":2: step: expected a whole number of 0 or more \(found '-1'\)"),
        ("step,loss\n1,0.5\n2,abc\n", r":3: loss: expected a number \(found 'abc'\)"),
        ("step,loss\n1,0.5,7\n", r":2: has 3 fields, the header 2"),
        ("step,time,loss\n1,1700000000000,1\n", r":2: time: expected Unix seconds .*\(found '1700000000000'\)"),
        ("step,metric,value\n1,,2\n", r":2: metric: missing"),
        ("step,metric,value\n1,loss,\n", r":2: value: expected a number \(found ''\)"),
        ("loss,lr\n1,2\n", r":1: step: missing \(found \['loss', 'lr'\]\)"),
        ("step,loss,loss\n1,2,3\n", r":1: the header has 'loss' twice"),
        ("step\n1\n", r":1: no column with a metric"),
        ("step,loss\n1,\n2,\n", r": holds no numbers"),
        ("step,loss\n1,\n1,\n", r": holds no numbers"),
        ("step,run,loss\n1,a,\n", r": holds no numbers"),
        ('step,loss,note\n1,2,"two\nlines"\n3,x,\n4,5,\n', r":4: loss: expected a number"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, said: str):
    path = tmp_path / "a.csv"
    with pytest.raises(DataError, match=re.escape(str(path)) + said):
        read(path, text)


def test_at_most_twenty_problems_are_listed(tmp_path: Path):
    with pytest.raises(DataError) as caught:
        read(tmp_path / "a.csv", "step,loss\n0,1\n" + "x,1\n" * 25)
    lines = str(caught.value).splitlines()
    assert len(lines) == 20 + 2  # twenty, how many more, and what was expected
    assert lines[20] == "… and 5 more"
    assert lines[21].startswith(f"Nothing was read from {tmp_path / 'a.csv'}. Expected a header with step")


def test_bytes_that_are_no_text_are_named_by_line(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"step,loss\n1,2\n3,\xff\n")
    with pytest.raises(DataError, match=r"a\.csv:3: byte 17 of the file is not UTF-8"):
        read_curves(path)


CELLS = st.one_of(st.floats(width=64).map(repr), st.just(""), st.integers(-5, 5).map(str))


@given(st.lists(st.tuples(st.integers(0, 6), CELLS, CELLS), min_size=1, max_size=8))
def test_the_quick_way_and_the_careful_one_agree(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple]):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_text("step,a,b\n" + "".join(f"{s},{a},{b}\n" for s, a, b in rows), encoding="utf-8")
    layout = tables.find_layout(path, ["step", "a", "b"])
    quick = tables._numbers(path, layout)
    if not any(a or b for _, a, b in rows):
        assert quick is None
        return
    careful = tables._line_by_line(path, ["step", "a", "b"], layout)["."].rows
    assert quick is not None
    numbers = [name for name in ("a", "b") if name in quick and quick[name].notna().any()]
    kept = quick.dropna(how="all", subset=numbers)[["step", *numbers]].reset_index(drop=True)
    careful = careful.dropna(how="all", subset=numbers)[["step", *numbers]].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, careful)
