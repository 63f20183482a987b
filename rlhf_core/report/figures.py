"""The report's pictures as inline SVG and positioned HTML: pure functions from numbers to escaped markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

import numpy as np
from markupsafe import Markup

from rlhf_core.runs.downsample import keep_extremes

Point = tuple[float, float]
MAX_POINTS = 400
FEW_POINTS = 12
"""Up to this many points a curve shows each as a dot."""


def axis_of(values: Iterable[float | None], reference: float) -> Point:
    """Return a range that holds all finite values and the reference, with 4% to spare on both sides."""
    known = [v for v in values if v is not None and isfinite(v)] + [reference]
    low, high = min(known), max(known)
    spare = 0.04 * (high - low) or 1.0
    return low - spare, high + spare


def track(value: float, low: float | None, high: float | None, axis: Point, reference: float) -> Markup:
    """Draw a value as a dot on its interval, with a tick at the reference; without an interval only the dot."""
    band = ""
    if low is not None and high is not None:
        left, right = _place(low, axis), _place(high, axis)
        band = Markup('<i class="band" style="left:{:.2f}%;width:{:.2f}%"></i>').format(left, right - left)
    return Markup(
        '<span class="track" aria-hidden="true"><i class="tick" style="left:{:.2f}%"></i>{}'
        '<i class="dot" style="left:{:.2f}%"></i></span>'
    ).format(_place(reference, axis), band, _place(value, axis))


def track_scale(text: str, axis: Point, reference: float) -> Markup:
    """Write what the reference stands for above the tracks' ticks."""
    return Markup('<span class="scale-at" style="left:{:.2f}%">{}</span>').format(_place(reference, axis), text)


def stacked_bar(parts: Sequence[tuple[str, float]]) -> Markup:
    """Draw shares that add up to 1 as one bar; each part is (CSS class, share)."""
    pieces = [Markup('<i class="{}" style="width:{:.2f}%"></i>').format(name, 100 * share) for name, share in parts]
    return Markup('<span class="stack" aria-hidden="true">{}</span>').format(Markup("").join(pieces))


def gain_bars(gains: Sequence[float]) -> Markup:
    """Draw one bar per prompt, largest gain first, up from the zero line for a gain and down for a loss."""
    low, high = min(0.0, *gains), max(0.0, *gains)
    scale = 100 / ((high - low) or 1.0)
    zero, width = high * scale, 100 / len(gains)
    bars = [
        Markup('<rect class="{}" x="{:.3f}" y="{:.2f}" width="{:.3f}" height="{:.2f}"/>').format(
            "up" if gain > 0 else "down", n * width + 0.1 * width, zero - max(gain, 0) * scale, 0.8 * width,
            max(abs(gain) * scale, 0.4),
        )
        for n, gain in enumerate(gains)
    ]  # fmt: skip
    line = Markup('<line class="zero" x1="0" x2="100" y1="{0:.2f}" y2="{0:.2f}"/>').format(zero)
    return _svg("bars", Markup("").join([*bars, line]), f"Change in score of {len(gains)} prompts, sorted")


def line_chart(points: Sequence[Point], faint: Sequence[Point], band: Point | None, colour: str, title: str) -> Markup:
    """Draw a curve over training steps, `faint` behind it, and the healthy range as a band; labels stand outside."""
    x_axis, y_axis = chart_range(points, faint)
    parts = [_healthy(band, y_axis), _path(faint, x_axis, y_axis, "faint"), _path(points, x_axis, y_axis, "line")]
    if len(points) <= FEW_POINTS:
        parts += [_path([point, point], x_axis, y_axis, "knot") for point in points]
    return _svg(f"curve {colour}", Markup("").join(parts), title)


def chart_range(points: Sequence[Point], faint: Sequence[Point]) -> tuple[Point, Point]:
    """Return (first, last step) and (lowest, highest value) of all points."""
    together = [*points, *faint]
    xs, ys = [x for x, _ in together], [y for _, y in together]
    return (min(xs), max(xs)), (min(ys), max(ys))


def calibration_plot(bins: Sequence[dict[str, Any]]) -> Markup:
    """Draw how often the reward model is right (0 … 1, up) against how sure it is (½ … 1); a dot grows with its n."""
    total = sum(b["n"] for b in bins)
    labels = [(0, 112, "start", "50%"), (50, 112, "middle", "how sure"), (100, 112, "end", "100%")]
    labels += [(-4, 5, "end", "100%"), (-4, 53, "end", "50%"), (-4, 100, "end", "0%")]
    texts = [Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(*label) for label in labels]
    dots = [
        Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{:.1f}"><title>{}</title></circle>').format(
            200 * (b["confidence"] - 0.5), 100 * (1 - b["accuracy"]), 1 + 8 * (b["n"] / total) ** 0.5,
            f"{b['confidence']:.0%} sure, {b['accuracy']:.0%} right, {b['n']} pairs",
        )
        for b in bins
    ]  # fmt: skip
    return Markup(
        '<svg class="calibration" viewBox="-24 -4 130 120" role="img" aria-label="How often right against how sure">'
        '<rect class="frame" x="0" y="0" width="100" height="100"/>'
        '<line class="ideal" x1="0" y1="50" x2="100" y2="0"/>{}{}</svg>'
    ).format(Markup("").join(texts), Markup("").join(dots))


def curve_points(rows: Sequence[dict[str, Any]], metric: str) -> list[Point]:
    """Return (step, value) of one metric, thinned without losing a spike; rows that lack it are left out."""
    points = [(float(r["step"]), float(r[metric])) for r in rows if r.get(metric) is not None]
    kept = keep_extremes(np.array([y for _, y in points]), MAX_POINTS) if points else []
    return [points[n] for n in kept]


def _place(value: float, axis: Point) -> float:
    """Return where a value lies on the axis, in per cent, held inside it."""
    return min(max(100 * (value - axis[0]) / (axis[1] - axis[0]), 0.0), 100.0)


def _healthy(band: Point | None, axis: Point) -> Markup:
    if band is None or band[0] >= axis[1] or band[1] <= axis[0]:
        return Markup("")
    top, bottom = _height(min(band[1], axis[1]), axis), _height(max(band[0], axis[0]), axis)
    return Markup('<rect class="healthy" x="0" width="100" y="{:.2f}" height="{:.2f}"/>').format(top, bottom - top)


def _path(points: Sequence[Point], x_axis: Point, y_axis: Point, name: str) -> Markup:
    if not points:
        return Markup("")
    width = (x_axis[1] - x_axis[0]) or 1.0
    places = [f"{100 * (x - x_axis[0]) / width:.2f} {_height(y, y_axis):.2f}" for x, y in points]
    return Markup('<path class="{}" d="M{}"/>').format(name, "L".join(places))


def _height(value: float, axis: Point) -> float:
    """Return a value's height in the drawing, whose y grows downwards from 2 to 98."""
    return 98 - 96 * (value - axis[0]) / ((axis[1] - axis[0]) or 1.0)


def _svg(name: str, content: Markup, title: str) -> Markup:
    return Markup(
        '<svg class="{}" viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(name, title, content)
