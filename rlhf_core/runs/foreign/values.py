"""What a step, a time and a value have to be."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from rlhf_core.errors import shorten

T = TypeVar("T")
LATEST = datetime(2200, 1, 1, tzinfo=UTC).timestamp()
LARGEST_STEP = 2**53
WORDS = {"nan": math.nan, "inf": math.inf, "infinity": math.inf, "-inf": -math.inf, "-infinity": -math.inf}
"""Numbers that JSON and CSV files spell out."""


def checked(field: str, convert: Callable[[Any], T], value: Any) -> T:
    """Return `convert(value)`.

    Raises:
        ValueError: it is not what `convert` takes; the message begins with the field.
    """
    try:
        return convert(value)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from error


def as_step(value: Any) -> int:
    """Return a step.

    Raises:
        ValueError: not a whole number of 0 or more.
    """
    number = _number(value)
    if number is None or not (0 <= number <= LARGEST_STEP and number == int(number)):
        raise ValueError(f"expected a whole number of 0 or more (found {shorten(value)})")
    return int(number)


def as_time(value: Any) -> float:
    """Return a time in Unix seconds.

    Raises:
        ValueError: neither Unix seconds nor an ISO date and time; one without a zone is taken for UTC.
    """
    number = _number(value)
    if number is None and isinstance(value, str):
        try:
            when = datetime.fromisoformat(value.strip())
        except ValueError:
            when = None
        number = when and (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    if number is None or not 0 <= number <= LATEST:
        raise ValueError(f"expected Unix seconds or an ISO date and time (found {shorten(value)})")
    return number


def as_value(value: Any) -> float:
    """Return the value of a metric; `NaN` and `Infinity` may be spelt out.

    Raises:
        ValueError: not a number.
    """
    number = _number(value)
    if number is None:
        raise ValueError(f"expected a number (found {shorten(value)})")
    return number


def is_number(value: Any) -> bool:
    """Say whether a value is a number, or one spelt out."""
    return _number(value) is not None


def _number(value: Any) -> float | None:
    if isinstance(value, int | float):  # True is 1: trackers draw what is yes or no
        try:
            return float(value)
        except OverflowError:
            return None
    if not isinstance(value, str):
        return None
    text = value.strip()
    if text.lower().lstrip("+") in WORDS:
        return WORDS[text.lower().lstrip("+")]
    try:
        return float(text) if "_" not in text else None
    except ValueError:
        return None
