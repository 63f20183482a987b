"""The report's drawings: pure functions from numbers to escaped SVG, the same in the HTML page and in the PDF.

A drawing carries its points with what each says (`data-tips`), so that the page can show them one by one. Colours are classes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10
from typing import Any

import numpy as np
from markupsafe import Markup

from rlhf_core.report.words import number
from rlhf_core.runs.downsample import keep_extremes

Point = tuple[float, float]
Tip = tuple[float, float, str]
MAX_POINTS = 400
FEW_POINTS = 12
"""Up to this many points a curve shows each as a dot."""
SMALL, WIDE = (300.0, 170.0), (640.0, 190.0)
LEFT, RIGHT, TOP, BOTTOM = 42.0, 10.0, 8.0, 32.0


def axis_of(values: Iterable[float | None], reference: float) -> Point:
    """Return a range that holds all finite values and the reference, with 4% to spare on both sides."""
    known = [v for v in values if v is not None and isfinite(v)] + [reference]
    low, high = min(known), max(known)
    spare = 0.04 * (high - low) or 1.0
    return low - spare, high + spare


def ticks(axis: Point, wanted: int = 4) -> list[float]:
    """Return round values inside the axis: steps of 1, 2 or 5 times a power of ten, about `wanted` of them."""
    span = axis[1] - axis[0]
    rough = span / wanted
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first = int(np.ceil(axis[0] / step - 1e-9))
    return [round(n * step, 10) for n in range(first, int(np.floor(axis[1] / step + 1e-9)) + 1)]


@dataclass(frozen=True)
class Frame:
    """Where numbers lie in a drawing of `size` whose axes are `x` and `y`."""

    x: Point
    y: Point
    size: Point = SMALL

    def at(self, x: float, y: float) -> Point:
        """Return the place of a point, held inside the frame."""
        across = min(max((x - self.x[0]) / (self.x[1] - self.x[0]), 0.0), 1.0)
        up = min(max((y - self.y[0]) / (self.y[1] - self.y[0]), 0.0), 1.0)
        return LEFT + across * (self.size[0] - LEFT - RIGHT), TOP + (1 - up) * (self.size[1] - TOP - BOTTOM)

    def grid(self, x_title: str, y_unit: str = "", percent: bool = False, across: bool = True) -> Markup:
        """Return lines and labels of both axes; `percent` writes the upright one in per cent, `across` labels the other."""
        left, bottom, right = LEFT, self.size[1] - BOTTOM, self.size[0] - RIGHT
        parts = [
            Markup('<line class="grid" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>').format(left, right, y, y)
            + _text(left - 5, y + 3, "end", _label(100 * value if percent else value, self.y, percent) + "%" * percent)
            for value in ticks(self.y)
            for _, y in [self.at(self.x[0], value)]
        ]
        marks = [(value, self.at(value, self.y[0])[0]) for value in ticks(self.x, 5)] if across else []
        parts += [_text(x, bottom + 12, "middle", _label(value, self.x)) for value, x in marks]
        line = Markup('<line class="axis" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>').format(
            left, right, bottom, bottom
        )
        return Markup("").join([*parts, line, _text(right, bottom + 25, "end", x_title)])

    def level(self, value: float, name: str) -> Markup:
        """Return a line across at a value."""
        (left, y), (right, _) = self.at(self.x[0], value), self.at(self.x[1], value)
        return Markup('<line class="{}" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>').format(
            name, left, right, y, y
        )

    def path(self, points: Sequence[Point], name: str) -> Markup:
        """Return a line through points."""
        places = [f"{x:.1f} {y:.1f}" for x, y in (self.at(*point) for point in points)]
        return Markup('<path class="{}" d="M{}"/>').format(name, "L".join(places)) if places else Markup("")

    def area(self, low: Sequence[Point], high: Sequence[Point], name: str) -> Markup:
        """Return the area between two lines."""
        places = [f"{x:.1f} {y:.1f}" for x, y in (self.at(*point) for point in [*low, *reversed(high)])]
        return Markup('<path class="{}" d="M{}Z"/>').format(name, "L".join(places))

    def dots(self, points: Sequence[Point], name: str, radius: float = 2.4) -> Markup:
        """Return a dot at each point."""
        return Markup("").join(
            Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"/>').format(name, *self.at(*point), radius)
            for point in points
        )

    def draw(self, parts: Sequence[Markup], alt: str, tips: Sequence[Tip], colour: str = "") -> Markup:
        """Return the whole drawing; `tips` are points with what each says."""
        said = json.dumps([[*(round(v, 1) for v in self.at(x, y)), text] for x, y, text in tips], ensure_ascii=False)
        return Markup(
            '<svg class="plot {}" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}" '
            'data-tips="{}">{}</svg>'
        ).format(colour, *self.size, alt, said, Markup("").join(parts))


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


def gain_bars(gains: Sequence[tuple[float, str]], alt: str) -> Markup:
    """Draw one bar per prompt, up from the zero line for a gain and down for a loss; each is (gain, what to say)."""
    values = [gain for gain, _ in gains]
    low, high = min(0.0, *values), max(0.0, *values)
    frame = Frame((0.0, float(len(gains))), (low, high if high > low else low + 1.0), WIDE)
    width = (WIDE[0] - LEFT - RIGHT) / len(gains)
    bars = []
    for n, gain in enumerate(values):
        (x, zero), (_, end) = frame.at(n, 0.0), frame.at(n, gain)
        bars.append(
            Markup('<rect class="{}" x="{:.2f}" y="{:.1f}" width="{:.2f}" height="{:.1f}"/>').format(
                "up" if gain > 0 else "down", x + 0.1 * width, min(zero, end), 0.8 * width, max(abs(end - zero), 0.6)
            )
        )
    tips = [(n + 0.5, gain, said) for n, (gain, said) in enumerate(gains)]
    grid = frame.grid("prompts, from the largest gain to the largest loss", across=False)
    return frame.draw([grid, *bars, frame.level(0.0, "zero")], alt, tips)


def line_chart(
    points: Sequence[Point], faint: Sequence[Point], band: Point | None, colour: str, unit: str, alt: str
) -> Markup:
    """Draw a curve over training steps, `faint` behind it, and the healthy range as a band."""
    xs, ys = [x for x, _ in (*points, *faint)], [y for _, y in (*points, *faint)]
    frame = Frame((min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1.0), axis_of(ys, points[0][1]))
    parts = [
        _healthy(frame, band),
        frame.grid("step", percent=unit == "share"),
        frame.path(faint, "faint"),
        frame.path(points, "line"),
    ]
    parts += [frame.dots(points, "knot")] if len(points) <= FEW_POINTS else []
    tips = [(x, y, f"step {x:.0f}: {_value(y, unit)}") for x, y in points]
    return frame.draw(parts, alt, tips, colour)


def calibration_plot(bins: Sequence[dict[str, Any]], alt: str) -> Markup:
    """Draw how often the reward model is right (0 … 1, up) against how sure it is (½ … 1); a dot grows with its n."""
    total = sum(b["n"] for b in bins)
    frame = Frame((0.5, 1.0), (0.0, 1.0))
    dots = [frame.dots([(b["confidence"], b["accuracy"])], "mark", 1.5 + 9 * (b["n"] / total) ** 0.5) for b in bins]
    tips = [
        (b["confidence"], b["accuracy"], f"{b['confidence']:.0%} sure, {b['accuracy']:.0%} right, {b['n']} pairs")
        for b in bins
    ]
    ideal = frame.path([(0.5, 0.5), (1.0, 1.0)], "ideal")
    return frame.draw([frame.grid("how sure", percent=True), ideal, *dots], alt, tips)


def drift_plot(points: Sequence[tuple[float, float, str]], model: Point, alt: str) -> Markup:
    """Draw held-out scores against √KL in the order of training; each is (√KL, score, what to say), `model` the one kept."""
    places = [(x, y) for x, y, _ in points]
    frame = Frame(axis_of([x for x, _ in places], 0.0), axis_of([y for _, y in places], places[0][1]))
    parts = [frame.grid("√KL, drift from the reference"), frame.path(places, "line"), frame.dots(places, "knot")]
    return frame.draw([*parts, frame.dots([model], "kept", 5.0)], alt, points, "ppo")


def stop_plot(path: Sequence[tuple[int, float, float]], alt: str) -> Markup:
    """Draw the interval that holds at every look, prompt by prompt, and the even chance across."""
    low, high = [(float(n), a) for n, a, _ in path], [(float(n), b) for n, _, b in path]
    last = float(path[-1][0])
    frame = Frame((min(1.0, last - 1.0), last), (0.0, 1.0))
    tips = [(float(n), (a + b) / 2, f"{n} prompts: {100 * a:.1f}% to {100 * b:.1f}%") for n, a, b in path]
    parts = [frame.grid("prompts judged", percent=True), frame.area(low, high, "between"), frame.level(0.5, "zero")]
    return frame.draw([*parts, frame.path(low, "line"), frame.path(high, "line")], alt, tips, "ppo")


def length_plot(points: Sequence[tuple[float, float, str]], alt: str) -> Markup:
    """Draw the change in score against the change in words, a dot for each prompt: (words, gain, what to say)."""
    places = [(x, y) for x, y, _ in points]
    frame = Frame(axis_of([x for x, _ in places], 0.0), axis_of([y for _, y in places], 0.0))
    (zero, top), (_, bottom) = frame.at(0.0, frame.y[1]), frame.at(0.0, frame.y[0])
    upright = Markup('<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="{1:.1f}" y2="{2:.1f}"/>').format(
        zero, top, bottom
    )
    parts = [frame.grid("change in words"), upright, frame.level(0.0, "zero"), frame.dots(places, "mark")]
    return frame.draw(parts, alt, points)


def curve_points(rows: Sequence[dict[str, Any]], metric: str) -> list[Point]:
    """Return (step, value) of one metric, thinned without losing a spike; rows that lack it are left out."""
    points = [(float(r["step"]), float(r[metric])) for r in rows if r.get(metric) is not None]
    kept = keep_extremes(np.array([y for _, y in points]), MAX_POINTS) if points else []
    return [points[n] for n in kept]


def _place(value: float, axis: Point) -> float:
    """Return where a value lies on the axis, in per cent, held inside it."""
    return min(max(100 * (value - axis[0]) / (axis[1] - axis[0]), 0.0), 100.0)


def _healthy(frame: Frame, band: Point | None) -> Markup:
    if band is None or band[0] >= frame.y[1] or band[1] <= frame.y[0]:
        return Markup("")
    (left, top), (right, bottom) = frame.at(frame.x[0], band[1]), frame.at(frame.x[1], band[0])
    rect = '<rect class="healthy" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>'
    return Markup(rect).format(left, top, right - left, bottom - top)


def _label(value: float, axis: Point, percent: bool = False) -> str:
    """Return a tick in as few digits as tell it from its neighbours."""
    step = (axis[1] - axis[0]) / 4 * (100 if percent else 1)
    text = number(value, max(0, 1 - floor(log10(step))) if step < 10 else 0)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _value(value: float, unit: str) -> str:
    return f"{100 * value:.1f}%" if unit == "share" else f"{number(value, 3)} {unit}"


def _text(x: float, y: float, anchor: str, text: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, text)
