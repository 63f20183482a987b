"""A clock that a test turns on by hand."""

from __future__ import annotations

START = 1_800_000_000.0  # 2027-01-15T08:00:00Z


class Clock:
    """Says the same time, in seconds, until `now` is changed."""

    def __init__(self, start: float = 1000.0) -> None:
        self.now = start

    def __call__(self) -> float:
        return self.now
