"""The part of an axis that curves are shown for, as people write it: `1200–3400`, or two times on the clock."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from dashboard.services.curves import CLOCK
from rlhf_core.errors import ConfigError

APART = re.compile(r"\s*(?:–|—|\bto\b|\.\.+)\s*|(?<=\d)\s*-\s*(?=\d)")
PLACEHOLDERS = {CLOCK: "2026-11-22 14:00 to 2026-11-22 15:30"}

Window = tuple[float, float]


def read_window(text: str, axis: str) -> Window | None:
    """Return the first and last place that a text names; None for an empty one, which means everything.

    Raises:
        ConfigError: not two places, or the second does not lie behind the first.
    """
    if not text.strip():
        return None
    try:
        first, last = (_place(part, axis) for part in _parts(text, axis))
    except ValueError as error:
        example = PLACEHOLDERS.get(axis, "1200–3400")
        raise ConfigError("not a range", where="Range", value=text, remedy=f"Write it like {example}") from error
    if first >= last:
        raise ConfigError(
            "ends where it begins, or before", where="Range", value=text, remedy="Write the smaller first"
        )
    return first, last


def write_window(window: Window, axis: str) -> str:
    """Return a window as text that `read_window` reads back, to a whole step, a thousandth of a minute or a second."""
    if axis == CLOCK:
        return " to ".join(datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S") for at in window)
    digits = 3 if axis == "time" else 0
    return "–".join(f"{at:.{digits}f}" for at in window)


def _parts(text: str, axis: str) -> list[str]:
    return re.split(r"\s+to\s+|\s*–\s*", text.strip()) if axis == CLOCK else APART.split(text.strip())


def on_the_clock(text: str) -> float:
    """Return a time in UTC, as people or charts write it, in milliseconds since 1970.

    Raises:
        ValueError: not a date and time.
    """
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000


def _place(text: str, axis: str) -> float:
    if axis == CLOCK:
        return on_the_clock(text)
    return float(text.replace(",", ""))
