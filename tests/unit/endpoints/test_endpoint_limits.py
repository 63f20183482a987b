"""When requests may be sent: evenly over a minute, not while the endpoint rests, and later after every failure."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from rlhf_core.endpoints.limits import Pace, backoff, retry_after


class Clock:
    """A clock that only sleeping moves on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, until)


def turns(pace: Pace, clock: Clock, count: int) -> list[float]:
    """The seconds after which so many simultaneous requests were sent."""
    sent: list[float] = []

    async def one() -> None:
        await pace.turn()
        sent.append(clock.now - 100)

    async def many() -> None:
        await asyncio.gather(*(one() for _ in range(count)))

    asyncio.run(many())
    return sent


def test_requests_are_spread_evenly_over_a_minute():
    """30 a minute is one every two seconds."""
    clock = Clock()
    assert turns(Pace(30, clock, clock.sleep), clock, 4) == [0, 2, 4, 6]


def test_without_a_limit_all_go_at_once():
    clock = Clock()
    assert turns(Pace(None, clock, clock.sleep), clock, 5) == [0] * 5


def test_while_an_endpoint_rests_nothing_is_sent():
    clock = Clock()
    pace = Pace(60, clock, clock.sleep)
    pace.hold(7)
    pace.hold(3)  # a shorter rest does not end a longer one
    assert turns(pace, clock, 3) == [7, 8, 9]


@pytest.mark.parametrize(("attempt", "longest"), [(0, 1), (1, 2), (3, 8), (6, 60), (19, 60)])
def test_pauses_double_up_to_a_minute_and_differ_by_chance(attempt: int, longest: float):
    assert backoff(attempt, lambda: 0.0) == longest
    assert backoff(attempt, lambda: 1.0) == longest / 2


NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("30", 30),
        ("0.5", 0.5),
        ("-3", 0),
        ("Sun, 01 Mar 2026 12:00:45 GMT", 45),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_how_long_an_endpoint_wants_to_rest(header: str | None, seconds: float | None):
    assert retry_after(header, NOW) == seconds
