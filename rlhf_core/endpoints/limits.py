"""When to ask: no more often than an endpoint allows, and again after a while where it failed for the moment."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_WAIT = 60.0
"""Seconds between two attempts where the endpoint does not say how long."""
MOST_PATIENCE = 600.0
"""Seconds that an endpoint can ask us to wait; beyond it is an error that says so."""

Sleep = Callable[[float], Awaitable[None]]


class Pace:
    """Spreads requests evenly over a minute, and holds all of them back while the endpoint wants rest."""

    def __init__(
        self, per_minute: float | None, clock: Callable[[], float] = time.monotonic, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._between = 60.0 / per_minute if per_minute else 0.0
        self._clock, self.sleep = clock, sleep
        self._next = -math.inf

    async def turn(self) -> None:
        """Return when the next request may be sent."""
        while (wait := self._next - self._clock()) > 0:
            await self.sleep(wait)
        self._next = self._clock() + self._between

    def hold(self, seconds: float) -> None:
        """Send nothing for so many seconds."""
        self._next = max(self._next, self._clock() + seconds)


def backoff(attempt: int, jitter: Callable[[], float] = random.random) -> float:
    """Return the seconds to wait after failed attempt 0, 1, 2 …: 2^attempt, at most 60, less up to half by chance.

    Chance keeps requests that failed together from coming back together.
    """
    return min(LONGEST_WAIT, 2.0**attempt) * (1 - jitter() / 2)


def retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds that a Retry-After header asks for, as a number or as a date; None where it says nothing of use."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            until = parsedate_to_datetime(header)
        except ValueError:
            return None
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        seconds = (until - (now or datetime.now(UTC))).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
