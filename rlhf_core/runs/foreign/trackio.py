"""Trackio's database: SQLite, `metrics(run_name, step, timestamp, metrics)` with the metrics of a row as JSON."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from rlhf_core.data.io import Problems, parse_json
from rlhf_core.errors import DataError, shorten
from rlhf_core.runs.foreign.series import Points, Series
from rlhf_core.runs.foreign.values import as_step, as_time, as_value, checked, is_number

HEADER = b"SQLite format 3\x00"
COLUMNS = ("run_name", "step", "timestamp", "metrics")
EXPECTED = f"Expected a table metrics({', '.join(COLUMNS)})"
Row = tuple[int, Any, Any, Any, Any, Any]


def read_trackio(path: Path) -> dict[str, Series]:
    """Return the runs of a Trackio database, opened for reading alone.

    Raises:
        DataError: not such a database, or a row is not as it should be; lists up to 20.
    """
    problems, runs, names = Problems(path), {}, {}
    other: dict[str, dict[str, None]] = {}
    for row, key, name, *rest in _rows(path):
        try:
            step, time = checked("step", as_step, rest[0]), checked("timestamp", as_time, rest[1])
            metrics = checked("metrics", _metrics, rest[2])
        except ValueError as error:
            problems.add(f"row {row}", str(error))
            continue
        names.setdefault(key, str(name))
        numbers = {metric: as_value(value) for metric, value in metrics.items() if is_number(value)}
        other.setdefault(key, {}).update(dict.fromkeys(metrics.keys() - numbers.keys()))
        runs.setdefault(key, Points()).add(step, time, numbers)
    problems.refuse(EXPECTED)
    drawn = {key: label for key, label in _distinct(names).items() if runs[key].columns}
    if not drawn:
        raise DataError("holds no numbers", where=path, remedy=EXPECTED)
    said = {key: tuple(f"{metric}: no number" for metric in sorted(other[key])) for key in drawn}
    return {label: Series(runs[key].frame(), said[key]) for key, label in drawn.items()}


def _rows(path: Path) -> Iterator[Row]:
    """Yield (row number, key of the run, its name, step, timestamp, metrics), in the order logged."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            columns = [column[1] for column in database.execute("PRAGMA table_info(metrics)")]
            if missing := [name for name in COLUMNS if name not in columns]:
                raise DataError(f"metrics: missing {', '.join(missing)}", where=path, remedy=EXPECTED)
            key = "run_id" if "run_id" in columns else "run_name"  # two runs may have one name
            yield from database.execute(f"SELECT rowid, {key}, {', '.join(COLUMNS)} FROM metrics ORDER BY rowid")
    except sqlite3.DatabaseError as error:
        raise DataError(f"not a readable database: {error}", where=path, remedy=EXPECTED) from error


def _metrics(text: Any) -> dict[str, Any]:
    try:
        metrics = parse_json(text)
    except (ValueError, TypeError) as error:
        raise ValueError(f"not JSON (found {shorten(text)})") from error
    if not isinstance(metrics, dict):
        raise ValueError(f"expected an object (found {shorten(metrics)})")
    return metrics


def _distinct(names: dict[Any, str]) -> dict[Any, str]:
    """A name of its own for each run: the second of a name is `NAME (2)`."""
    found: dict[Any, str] = {}
    for key, name in names.items():
        again = sum(other == name for other in list(names.values())[: len(found)])
        found[key] = f"{name} ({again + 1})" if again else name
    return found
