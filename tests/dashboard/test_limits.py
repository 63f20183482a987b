"""Tries of links: a burst, then one at a time; one address alone cannot use up everybody's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.web import limits as module
from dashboard.web.limits import Limits, Rate
from tests.clock import Clock


def test_a_burst_then_one_more_every_so_often():
    clock = Clock()
    limits = Limits(Rate(3, 10.0), Rate(100, 1.0), clock)
    assert [limits.wait("a") for _ in range(5)] == [0, 0, 0, 10.0, 10.0]  # a refusal takes nothing
    clock.now += 4
    assert limits.wait("a") == pytest.approx(6.0)
    clock.now += 6
    assert [limits.wait("a") for _ in range(2)] == [0, pytest.approx(10.0)]
    clock.now += 1e6
    assert [limits.wait("a") for _ in range(4)] == [0, 0, 0, 10.0]  # never more than the burst


def test_addresses_have_buckets_of_their_own_and_share_one():
    limits = Limits(Rate(2, 10.0), Rate(5, 3.0), Clock())
    assert [limits.wait("a") for _ in range(9)].count(0) == 2
    assert [limits.wait(name) for name in "bcde"] == [0, 0, 0, 3.0]  # a's refusals took none of the five


def test_an_ipv6_household_is_one_address():
    limits = Limits(Rate(1, 10.0), Rate(100, 1.0), Clock())
    assert limits.wait("2001:db8:1:2::1") == 0
    assert limits.wait("2001:db8:1:2:ffff::7") == 10.0
    assert limits.wait("2001:db8:1:3::1") == 0


def test_a_clock_that_goes_back_gives_nothing_away():
    clock = Clock()
    limits = Limits(Rate(1, 10.0), Rate(100, 1.0), clock)
    assert limits.wait("a") == 0
    clock.now -= 500
    assert limits.wait("a") == 10.0


def test_addresses_that_have_waited_long_enough_are_forgotten(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_ADDRESSES", 3)
    clock = Clock()
    limits = Limits(Rate(2, 10.0), Rate(100, 1.0), clock)
    for name in "abc":
        limits.wait(name)
    clock.now += 10
    limits.wait("c")
    limits.wait("d")
    assert sorted(limits._buckets) == ["c", "d"]


@given(st.lists(st.floats(0, 30), max_size=40))
def test_as_many_as_the_obvious_count_allows(gaps: list[float]):
    """Never more than burst + elapsed / seconds tries, whatever the pattern; and one is granted after a whole wait."""
    clock, granted = Clock(), 0
    limits = Limits(Rate(3, 10.0), Rate(1000, 0.001), clock)
    for gap in gaps:
        clock.now += gap
        seconds = limits.wait("a")
        granted += not seconds
        assert granted <= 3 + (clock.now - 1000) / 10 + 1e-6
    clock.now += 10.000001
    assert limits.wait("a") == 0
