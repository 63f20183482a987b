"""Lay out what was measured: ours, the other's, the ratio, and whether the target was met."""

from __future__ import annotations

from typing import Any

from benchmarks.measure import Measurement, Summary, Task, summarise
from benchmarks.rows import Row

HEADER = (
    "work: other",
    "ours (min–max)",
    "other (min–max)",
    "unit",
    "ours/other",
    "target",
    "at most",
    "of peak",
    "GiB",
    "other GiB",
    "GiB target",
)


def result(row: Row, found: dict[Task, list[Measurement]]) -> dict[str, Any]:
    """Return one row's figures: both sides, (our rate)/(theirs), (our memory)/(theirs), and what was met (None: no target).

    `at_most` is the ratio an engine would reach that did the row's matrix products at this machine's peak and nothing
    else; `of_peak` the share of that peak ours reaches.
    """
    ours, other = (summarise(found[task]) if found.get(task) else None for task in (row.ours, row.other))
    peak = summarise(found[row.peak]).rate / row.products if row.peak and found.get(row.peak) else None
    both = ours and other and (ours.rate / other.rate, ours.memory / other.memory)
    speed, memory = both or (None, None)
    return {
        "name": row.name, "label": row.label, "ours": ours, "other": other, "speed": speed, "memory": memory,
        "speed_met": speed >= row.speed if speed and row.speed else None,
        "memory_met": memory <= row.memory if memory and row.memory else None,
        "at_most": peak / other.rate if peak and other else None,
        "of_peak": ours.rate / peak if peak and ours else None,
    }  # fmt: skip


def layout(rows: list[Row], results: list[dict[str, Any]]) -> str:
    """Return the table as text, a line a row."""
    lines = [HEADER, *(_cells(row, figures) for row, figures in zip(rows, results, strict=True))]
    widths = [max(len(line[n]) for line in lines) for n in range(len(HEADER))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)


def _cells(row: Row, figures: dict[str, Any]) -> tuple[str, ...]:
    sides = figures["ours"], figures["other"]
    speed, at_most = ("–" if figures[name] is None else f"{figures[name]:.2f} ×" for name in ("speed", "at_most"))
    return (
        row.label,
        *(_rate(row, side) for side in sides),
        row.unit,
        speed,
        _verdict(row.speed, "≥", figures["speed_met"]),
        at_most,
        "–" if figures["of_peak"] is None else f"{figures['of_peak']:.0%}",
        *(f"{side.memory / 2**30:.2f}" if side else "–" for side in sides),
        _verdict(row.memory, "≤", figures["memory_met"]),
    )


def _rate(row: Row, side: Summary | None) -> str:
    if side is None:
        return "–"
    shown = [row.per / rate if row.per else rate for rate in (side.rate, side.low, side.high)]
    return f"{shown[0]:.1f} ({min(shown):.1f}–{max(shown):.1f})"


def _verdict(target: float | None, sign: str, met: bool | None) -> str:
    verdict = {True: ": met", False: ": missed", None: ""}[met]
    return "" if target is None else f"{sign} {target:.2f}{verdict}"
