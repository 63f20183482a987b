"""How often links may be tried: a token bucket for each address, and one for all of them together."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from threading import Lock

MOST_ADDRESSES = 10_000


@dataclass(frozen=True)
class Rate:
    """`burst` tries at once, then one more every `seconds`."""

    burst: int
    seconds: float


EACH, ALL = Rate(10, 6.0), Rate(100, 0.5)


class Bucket:
    """Tries that are left: `rate.burst` at first, refilled by one every `rate.seconds`, never beyond the burst."""

    def __init__(self, rate: Rate, now: float) -> None:
        self.rate, self.left, self.at = rate, float(rate.burst), now

    def wait(self, now: float) -> float:
        """Return the seconds until there is a try; 0 when there is one."""
        self.left = min(self.rate.burst, self.left + max(now - self.at, 0.0) / self.rate.seconds)
        self.at = now
        return 0.0 if self.left >= 1 else (1 - self.left) * self.rate.seconds

    @property
    def full(self) -> bool:
        """Whether it is as if it had never been used."""
        return self.left >= self.rate.burst


class Limits:
    """Grants tries, first from an address's own bucket: one address alone cannot use up everybody's. Safe between threads."""

    def __init__(self, each: Rate = EACH, everybody: Rate = ALL, clock: Callable[[], float] = time.monotonic) -> None:
        self._each, self._clock = each, clock
        self._buckets: dict[str, Bucket] = {}
        self._everybody, self._turn = Bucket(everybody, clock()), Lock()

    def wait(self, address: str) -> float:
        """Take a try for an address and return 0, or take none and return the seconds until there is one."""
        with self._turn:
            now, key = self._clock(), _household(address)
            if len(self._buckets) >= MOST_ADDRESSES:
                self._forget_full(now)
            own = self._buckets.setdefault(key, Bucket(self._each, now))
            seconds = own.wait(now) or self._everybody.wait(now)
            if not seconds:
                own.left -= 1
                self._everybody.left -= 1
            return seconds

    def _forget_full(self, now: float) -> None:
        for bucket in self._buckets.values():
            bucket.wait(now)
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if not bucket.full}


def _household(address: str) -> str:
    """Return the address, of IPv6 its /64: one household has them all."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(IPv6Address(int(parsed) >> 64 << 64)) if isinstance(parsed, IPv6Address) else address
