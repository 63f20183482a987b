"""A clock that a test turns on by hand."""

from __future__ import annotations


class Clock:
    """Says the same time, in seconds, until `now` is changed."""

    def __init__(self, start: float = 1000.0) -> None:
        self.now = start

    def __call__(self) -> float:
        return self.now
