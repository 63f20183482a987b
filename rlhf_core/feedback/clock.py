"""How moments are written down. Nothing is ordered by them: a clock may go backwards, row ids do not."""

from __future__ import annotations

from datetime import UTC, datetime


def stamp(seconds: float) -> str:
    """Return seconds since 1970 as an ISO 8601 time in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
