"""The curves of one run as another tool named it, and how rows and points become them."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Series:
    """What one run of a file logged.

    Attributes:
        rows: one for each step: `step` (whole numbers, rising), `time` (Unix seconds; missing where the file has none), then
            one float column per metric under the name it was logged by, NaN where a row does not have it.
        left_out: what stands in the file and is no curve, in words.
    """

    rows: pd.DataFrame
    left_out: tuple[str, ...] = ()


def column_of(metric: str) -> str:
    """Return the column of a metric: its name, unless that is what a column of every row is called."""
    return f"logged/{metric}" if metric in ("", "step", "time") else metric


@dataclass
class Points:
    """Rows that are added one by one, kept as numbers: sixteen bytes for each value."""

    steps: array[int] = field(default_factory=lambda: array("q"))
    times: array[float] = field(default_factory=lambda: array("d"))
    columns: dict[str, tuple[array[int], array[float]]] = field(default_factory=dict)

    def add(self, step: int, time: float | None, metrics: Mapping[str, float]) -> None:
        """Append one row; a row without a time has None."""
        row = len(self.steps)
        self.steps.append(step)
        self.times.append(math.nan if time is None else time)
        for name, value in metrics.items():
            rows, values = self.columns.setdefault(name, (array("q"), array("d")))
            rows.append(row)
            values.append(value)

    def frame(self) -> pd.DataFrame:
        """Return the rows as `Series.rows` has them."""
        steps, times = np.array(self.steps, dtype=np.int64), np.array(self.times)
        columns = {name: (np.array(rows), np.array(values)) for name, (rows, values) in self.columns.items()}
        return join_points({name: (steps[rows], times[rows], values) for name, (rows, values) in columns.items()})


def join_points(tracks: Mapping[str, tuple[Whole, Floats, Floats]]) -> pd.DataFrame:
    """Return one row for each step of the metrics in `tracks`: (steps, Unix times, values) of each, by name.

    What a metric logged more than once at a step stands in as many rows, in the order logged; a row's time is that of its
    earliest value.
    """
    every = np.unique(np.concatenate([steps for steps, _, _ in tracks.values()]))
    turns = {name: _turns(steps) for name, (steps, _, _) in tracks.items()}
    width = 1 + max(int(turn.max(initial=0)) for turn in turns.values())
    keys = {name: np.searchsorted(every, steps) * width + turns[name] for name, (steps, _, _) in tracks.items()}
    rows = np.unique(np.concatenate(list(keys.values()))) if width > 1 else np.arange(len(every))
    times = np.full(len(rows), np.inf)
    found: dict[str, NDArray] = {"step": every[rows // width], "time": times}
    for name, (_, logged, values) in tracks.items():
        row = np.searchsorted(rows, keys[name])
        found[column_of(name)] = column = np.full(len(rows), np.nan)
        column[row] = values
        times[row] = np.fmin(times[row], logged)
    times[~np.isfinite(times)] = np.nan
    frame = pd.DataFrame(found)
    return frame.drop(columns="time") if np.isnan(times).all() else frame


def _turns(steps: Whole) -> Whole:
    """The place of each value among those at its step, from 0."""
    if not len(steps) or (np.diff(steps) > 0).all():
        return np.zeros(len(steps), dtype=np.int64)
    return pd.Series(steps).groupby(steps).cumcount().to_numpy(dtype=np.int64)
