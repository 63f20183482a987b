"""Curves in CSV files: wide (`step`, a column for each metric), long (`step, metric, value`), as W&B exports them; packed ones too.

Numbers alone are read in blocks by Arrow; a file with anything else is read line by line, which names what is wrong.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv as arrow_csv

from rlhf_core.data.io import Problems, packing, read_content
from rlhf_core.errors import DataError
from rlhf_core.runs.foreign.series import Floats, Points, Series, Whole, column_of, join_points
from rlhf_core.runs.foreign.values import (
    LARGEST_STEP,
    LATEST,
    as_step,
    as_time,
    as_value,
    checked,
    is_number,
)

STEPS = ("step", "_step", "global_step", "train/global_step", "trainer/global_step")
TIMES = ("_timestamp", "timestamp", "time", "wall time", "wall_time")
RUNS = ("run", "run_name", "run_id")
LONG = ("metric", "value")
ONLY = "."
"""The name of a file's one run."""
ABSENT = ("", "null", "None")
EXTREMES = ("__MIN", "__MAX")
"""What W&B adds to each curve of an exported chart: the extremes behind a point it has averaged."""
APART = " - "
BEGINNING = 65536
"""Bytes in which the header stands."""
EXPECTED = "Expected a header with step and a column for each metric, or step, metric, value; a time column is optional"


@dataclass(frozen=True)
class Layout:
    """What the columns of a table are.

    Attributes:
        names: all columns.
        step, time, run: the columns of these; empty for none.
        curves: column → (run, metric) of a wide table; a long one has none.
        pair: the columns of the metric's name and of its value, of a long table.
    """

    names: tuple[str, ...]
    step: str
    time: str
    run: str
    curves: Mapping[str, tuple[str, str]]
    pair: tuple[str, str] = ("", "")

    @property
    def long(self) -> bool:
        """Whether each line holds one value."""
        return bool(self.pair[0])


def read_table(path: Path) -> dict[str, Series]:
    """Return the runs of a CSV file: one, unless a column names them or the columns are those of a W&B chart.

    Raises:
        DataError: no such columns, or a field is not what it should be; lists up to 20 problems.
    """
    names = _header(path)
    layout = find_layout(path, names)
    table = _numbers(path, layout)
    if table is not None:
        return {ONLY: Series(table)}
    return _line_by_line(path, names, layout)


def find_layout(path: Path, names: Sequence[str]) -> Layout:
    """Return what the columns of a header are.

    Raises:
        DataError: no step, a name twice, or nothing beside the step.
    """
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"the header has {twice[0]!a} twice", where=f"{path}:1", remedy=EXPECTED)
    step, time, run = (_first(names, known) for known in (STEPS, TIMES, RUNS))
    if not step:
        raise DataError("step: missing", where=f"{path}:1", value=list(names), remedy=EXPECTED)
    pair = (_first(names, LONG[:1]), _first(names, LONG[1:]))
    if all(pair):
        return Layout(tuple(names), step, time, run, {}, pair)
    used = {step, time, run, *(["_runtime"] if time else [])}
    rest = [name for name in names if name and name not in used and not name.endswith(EXTREMES)]
    if not rest:
        raise DataError("no column with a metric", where=f"{path}:1", value=list(names), remedy=EXPECTED)
    if step == "Step" and not time and all(APART in name for name in rest):
        chart = {name: _run_and_metric(name) for name in rest}
        return Layout(
            tuple(names), step, time, run, {name: curve for name, curve in chart.items() if curve[1] not in STEPS}
        )
    return Layout(tuple(names), step, time, run, {name: (ONLY, name) for name in rest})


def _run_and_metric(column: str) -> tuple[str, str]:
    run, _, metric = column.partition(APART)
    return run, metric


def _first(names: Sequence[str], known: Sequence[str]) -> str:
    lower = {name.lower(): name for name in reversed(names)}
    return next((lower[name] for name in known if name in lower), "")


def _header(path: Path) -> list[str]:
    line = read_content(path, BEGINNING).split(b"\n", 1)[0].decode("utf-8", "replace")
    names = [name.strip() for name in next(csv.reader([line.rstrip("\r")]), [])]
    if not names:
        raise DataError("holds no header", where=f"{path}:1", remedy=EXPECTED)
    return names


def _numbers(path: Path, layout: Layout) -> pd.DataFrame | None:
    """The rows of a table of one run that holds numbers alone; None for every other."""
    if layout.run or {run for run, _ in layout.curves.values()} - {ONLY}:
        return None
    name, value = layout.pair
    columns = [layout.step, *filter(None, [layout.time]), *(layout.pair if layout.long else layout.curves)]
    types = dict.fromkeys(columns, pa.float64()) | {
        layout.step: pa.int64(),
        name: pa.dictionary(pa.int32(), pa.string()),
    }
    convert = arrow_csv.ConvertOptions(include_columns=columns, column_types=types, null_values=list(ABSENT))
    try:
        with pa.input_stream(str(path), compression=packing(path)) as stream:
            table = arrow_csv.read_csv(stream, convert_options=convert)
    except (pa.ArrowException, OSError, EOFError):
        return None
    whole = [layout.step, *(layout.pair if layout.long else ())]
    if not len(table) or any(table[column].null_count for column in whole):
        return None
    steps, times = table[layout.step].to_numpy(), table[layout.time].to_numpy() if layout.time else None
    if not (steps.min() >= 0 and steps.max() <= LARGEST_STEP) or not _plausible(times):
        return None
    if layout.long:
        named = table[name].combine_chunks()
        return None if "" in named.dictionary.to_pylist() else _joined(named, steps, times, table[value].to_numpy())
    found = {"step": steps} if times is None else {"step": steps, "time": times}
    curves = [name for name in layout.curves if table[name].null_count < len(table)]
    if not curves:
        return None
    if not (np.diff(steps) > 0).all():
        return join_points({name: _track(table[name], steps, times) for name in curves})
    return pd.DataFrame(found | {column_of(name): table[name].to_numpy() for name in curves})


def _joined(names: Any, steps: Whole, times: Floats | None, values: Floats) -> pd.DataFrame:
    """The rows of a long table's points; `names` is a dictionary array."""
    codes, logged = names.indices.to_numpy(), np.full(len(steps), np.nan) if times is None else times
    places = {name: np.flatnonzero(codes == code) for code, name in enumerate(names.dictionary.to_pylist())}
    return join_points({name: (steps[at], logged[at], values[at]) for name, at in places.items()})


def _track(column: Any, steps: Whole, times: Floats | None) -> tuple[Whole, Floats, Floats]:
    """The points of a column, a chunked array: an empty field is none, NaN is one."""
    at = np.flatnonzero(column.is_valid().to_numpy())
    return steps[at], np.full(len(at), np.nan) if times is None else times[at], column.to_numpy()[at]


def _plausible(times: Floats | None) -> bool:
    """Whether `as_time` would take all times, of which some may be missing."""
    if times is None or np.isnan(times).all():
        return True
    return bool(np.nanmin(times) >= 0 and np.nanmax(times) <= LATEST)


def _line_by_line(path: Path, names: Sequence[str], layout: Layout) -> dict[str, Series]:
    text = _text(path)
    drawn, left_out = _with_numbers(layout, (row for _, row in _rows(text, names)))
    problems, runs = Problems(path), {}
    for line, row in _rows(text, names):
        try:
            if len(row) != len(names):
                raise ValueError(f"has {len(row)} fields, the header {len(names)}")
            cells = dict(zip(names, row, strict=True))
            step = checked(layout.step, as_step, cells[layout.step])
            time = _time(layout, cells)
            points = _points(layout, drawn, cells)
        except ValueError as error:
            problems.add(line, str(error))
            continue
        for run, metrics in points.items():
            runs.setdefault(run, Points()).add(step, time, metrics)
    problems.refuse(EXPECTED)
    drawn = {run: points for run, points in runs.items() if points.columns}
    if not drawn:
        raise DataError("holds no numbers", where=path, remedy=EXPECTED)
    return {run: Series(points.frame(), left_out) for run, points in drawn.items()}


def _points(layout: Layout, drawn: Sequence[str], cells: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """The values of one line by run and metric.

    Raises:
        ValueError: one is not a number.
    """
    of_line = cells[layout.run] or ONLY if layout.run else ONLY
    if layout.long:
        name, value = (cells[column] for column in layout.pair)
        if not name:
            raise ValueError(f"{layout.pair[0]}: missing")
        return {of_line: {name: checked(layout.pair[1], as_value, value)}}
    found: dict[str, dict[str, float]] = {of_line: {}} if layout.run else {}
    for column in drawn:
        if (text := cells[column].strip()) not in ABSENT:
            run, metric = layout.curves[column]
            found.setdefault(of_line if layout.run else run, {})[metric] = checked(column, as_value, text)
    return found


def _with_numbers(layout: Layout, rows: Iterator[list[str]]) -> tuple[list[str], tuple[str, ...]]:
    """The columns that hold a number somewhere, and what is said of those that hold something else alone."""
    numbers: set[str] = set()
    filled: set[str] = set()
    for row in rows:
        for column, text in zip(layout.names, row, strict=False):
            if column in layout.curves and column not in numbers and text.strip() not in ABSENT:
                (numbers if is_number(text) else filled).add(column)
    said = tuple(f"{column}: no number" for column in layout.curves if column in filled - numbers)
    return [column for column in layout.curves if column in numbers], said


def _time(layout: Layout, cells: Mapping[str, str]) -> float | None:
    text = cells[layout.time].strip() if layout.time else ""
    return None if text in ABSENT else checked(layout.time, as_time, text)


def _text(path: Path) -> str:
    content = read_content(path)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = f"byte {error.start + 1} of the file is not UTF-8"
        raise DataError(what, where=f"{path}:{line}", remedy="Save it as UTF-8") from error


def _rows(text: str, names: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields) of every line behind the header that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""))
    next(reader)
    for row in reader:
        if row:
            yield reader.line_num, row
