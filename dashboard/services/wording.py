"""Words and numbers of the pages: the report's wording, so that both say the same, and what only a browser needs."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from rlhf_core.report.words import (
    contender_name,
    count,
    difference,
    digits_for,
    duration,
    interval,
    number,
    percent,
    percent_interval,
)
from rlhf_core.visible import visible

__all__ = [
    "ago",
    "bracket",
    "contender_name",
    "count",
    "difference",
    "digits_for",
    "duration",
    "interval",
    "listed",
    "moment",
    "number",
    "percent",
    "percent_interval",
    "plain",
    "time_left",
    "without_images",
]


def bracket(low: float, high: float) -> str:
    """Return an interval alone: `[0.83, 1.21]`."""
    digits = digits_for(low, high)
    return f"[{number(low, digits)}, {number(high, digits)}]"


def ago(moment: float | None, now: float | None = None) -> str:
    """Return how long ago a Unix time was: `3 min 20 s ago`; `3 days ago` beyond two days."""
    if moment is None:
        return "at an unknown time"
    seconds = max((time.time() if now is None else now) - moment, 0.0)
    return f"{seconds / 86_400:.0f} days ago" if seconds > 2 * 86_400 else f"{duration(seconds)} ago"


def time_left(seconds: float | None) -> str:
    """Return `, about 3 min 20 s left`; nothing when unknown or when the estimate has run out."""
    return "" if seconds is None or seconds < 1 else f", about {duration(seconds)} left"


def moment(stamp: str) -> str:
    """Return a stored time of UTC to the minute: `2026-11-22 04:51`."""
    return stamp[:16].replace("T", " ")


def listed(names: Sequence[str]) -> str:
    """Return `base`, `base and tuned`, `base, sft and tuned`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def plain(text: str) -> str:
    """Escape text so that Streamlit's Markdown, with its directives and icons, shows it letter by letter, line by line."""
    lines = (line.strip() for line in visible(text).split("\n"))
    return "  \n".join(re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", line) for line in lines if line)


def without_images(markdown: str) -> str:
    """Return Markdown whose images are links: a picture elsewhere would tell that server who is judging, and when."""
    return markdown.replace("![", "\\![")
