"""Training curves as series ready to draw: over an axis, smoothed, cut to a range, and thinned without losing a spike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboard.services.catalogue import RunEntry
from dashboard.services.configuration import seed_groups
from dashboard.services.curve_names import BANDS
from rlhf_core.runs.downsample import keep_extremes

POINTS = 1200
"""Of each line, at most; a chart's payload stays far below 2 MB."""
TOKENS = "tokens/batch"
CLOCK = "clock"
AXES = {
    "step": "Steps",
    "progress/episodes": "Episodes",
    TOKENS: "Tokens",
    "time": "Minutes",
    CLOCK: "Clock (UTC)",
}
"""What curves may be drawn over: tokens add up over the rows, minutes count from the first row of the stage."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Drawing:
    """How the curves of a stage are asked for.

    Attributes:
        weight: of the smoothing, from 0 (none) to below 1.
        axis: one of `AXES`.
        window: first and last place on the axis to show; None shows all.
        seeds: draw runs that differ in their seed alone as one, with their mean and SD.
    """

    weight: float = 0.0
    axis: str = "step"
    window: tuple[float, float] | None = None
    seeds: bool = False


@dataclass(frozen=True)
class Series:
    """A line: `raw` and `smooth` heights over `x`; `low` and `high` bound its band when it has one."""

    name: str
    place: int
    x: Floats
    raw: Floats
    smooth: Floats
    low: Floats | None = None
    high: Floats | None = None

    def at(self, kept: NDArray[np.int64] | NDArray[np.bool_]) -> Series:
        """Return the points asked for."""
        low, high = (None if values is None else values[kept] for values in (self.low, self.high))
        return replace(self, x=self.x[kept], raw=self.raw[kept], smooth=self.smooth[kept], low=low, high=high)


def read_metrics(entries: Sequence[RunEntry], stage: str) -> None:
    """Read what the curves of a stage are made of: of a long run a matter of seconds the first time, of nothing after it."""
    for entry in entries:
        entry.reader.metrics(stage)


def build_series(entries: Sequence[RunEntry], stage: str, metric: str, drawing: Drawing) -> list[Series]:
    """Return one series per run that logged the metric where it is to be shown; `place` is the run's in `entries`."""
    each = {place: _series(entry, place, stage, metric, drawing) for place, entry in enumerate(entries)}
    found = {place: series for place, series in each.items() if series is not None}
    lines = _one_per_group(found, seed_groups(entries)) if drawing.seeds else list(found.values())
    return [shown for line in lines if len((shown := _shown(line, drawing.window)).x)]


def smooth(values: Floats, weight: float) -> Floats:
    """Return the debiased exponential moving average, past points only: y_t = Σ w^(t−i)·x_i / Σ w^(t−i).

    `weight` is w, from 0 (no smoothing) to below 1.
    """
    if not weight or not len(values):
        return values
    return pd.Series(values).ewm(alpha=1 - weight, adjust=True).mean().to_numpy()


def axes(entries: Sequence[RunEntry], stage: str) -> list[str]:
    """Return what the curves of a stage can be drawn over: what every run with curves has logged."""
    frames = [frame for entry in entries if len(frame := entry.reader.metrics(stage))]
    return [axis for axis in AXES if all((axis if axis != CLOCK else "time") in frame for frame in frames)]


def axis_title(axis: str) -> str:
    """Return what an axis is called within a sentence."""
    return AXES[axis][0].lower() + AXES[axis][1:]


def checkpoints(entry: RunEntry, stage: str, axis: str = "step") -> list[float]:
    """Return where on the axis a run's checkpoints lie; of those before its first row, none."""
    frame = entry.reader.metrics(stage)
    logged = frame["step"].to_numpy()
    steps = [step for step in entry.reader.checkpoints(stage) if len(frame) and step >= logged.min()]
    if axis == "step":
        return [float(step) for step in steps]
    order = np.argsort(logged, kind="stable")
    return np.interp(steps, logged[order], _positions(frame, axis)[order]).tolist()


def reach(entries: Sequence[RunEntry], stage: str, axis: str) -> tuple[float, float]:
    """Return a range that holds every place on an axis at which one of the runs has logged, with a hundredth of room."""
    places = [_positions(frame, axis) for entry in entries if len(frame := entry.reader.metrics(stage))]
    first, last = min(float(at.min()) for at in places), max(float(at.max()) for at in places)
    room = (last - first) / 100 or 0.5
    return first - room, last + room


def beyond(series: Sequence[Series]) -> tuple[float, float] | None:
    """Return the heights between which all but outliers lie, None where there are none.

    Outliers lie more than three times the range of the middle 90% away from it.
    """
    heights = np.concatenate([one.raw[np.isfinite(one.raw)] for one in series])
    low, high = np.quantile(heights, [0.05, 0.95])
    room = 3 * (high - low)
    bounds = (float(low - room), float(high + room))
    return bounds if room and (heights.min() < bounds[0] or heights.max() > bounds[1]) else None


def _series(entry: RunEntry, place: int, stage: str, metric: str, drawing: Drawing) -> Series | None:
    frame = entry.reader.metrics(stage)
    if metric not in frame:
        return None
    logged = frame[metric].notna().to_numpy()
    if not logged.any():
        return None
    raw = frame[metric].to_numpy()[logged]
    line = raw if metric.startswith("eval/") else smooth(raw, drawing.weight)
    low, high = (frame[name].to_numpy()[logged] if name in frame else None for name in BANDS.get(metric, ("", "")))
    return Series(entry.label, place, _positions(frame, drawing.axis)[logged], raw, line, low, high)


def _positions(frame: pd.DataFrame, axis: str) -> Floats:
    """Where each row lies on an axis; a measurement between two updates has the episodes of the one before."""
    if axis == "time":
        return (frame["time"].to_numpy() - frame["time"].min()) / 60
    if axis == CLOCK:
        return frame["time"].to_numpy() * 1000  # milliseconds since 1970, as charts count
    if axis == TOKENS:
        return frame[axis].fillna(0.0).cumsum().to_numpy()
    return frame[axis].ffill().fillna(0.0).to_numpy(dtype=np.float64)


def _one_per_group(found: dict[int, Series], groups: Sequence[Sequence[int]]) -> list[Series]:
    """Return one line for the runs of each group: themselves where one logged the metric, or else mean ± SD."""
    logged = [[found[place] for place in group if place in found] for group in groups]
    return [_mean_of(members) if len(members) > 1 else members[0] for members in logged if members]


def _mean_of(members: Sequence[Series]) -> Series:
    """Return the mean of several lines with one SD around it, over the part of the axis that all of them cover."""
    start, end = max(one.x[0] for one in members), min(one.x[-1] for one in members)
    x = np.unique(np.concatenate([one.x for one in members]))
    x = x[(x >= start) & (x <= end)]
    raw = np.mean([np.interp(x, one.x, one.raw) for one in members], axis=0)
    lines = np.array([np.interp(x, one.x, one.smooth) for one in members])
    mean, deviation = lines.mean(0), lines.std(0, ddof=1)
    first = members[0]
    return Series(f"{first.name} × {len(members)}", first.place, x, raw, mean, mean - deviation, mean + deviation)


def _shown(line: Series, window: tuple[float, float] | None) -> Series:
    """Cut a line to a window, with the points just outside it so that it runs to the edges, and thin it."""
    if window:
        before = np.searchsorted(line.x, window[0], "left") - 1
        behind = np.searchsorted(line.x, window[1], "right") + 1
        apart = line.x[0] > window[1] or line.x[-1] < window[0]
        line = line.at(np.arange(0) if apart else np.arange(max(before, 0), min(behind, len(line.x))))
    return line.at(keep_extremes(line.raw, POINTS))
