"""Processes that share work: results in order, errors passed on, a lost one told at once, and none left behind."""

from __future__ import annotations

import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import psutil
import pytest

from rlhf_core.data.exchange.workers import LostProcess, in_processes

LARGER_THAN_A_PIPE = b"x" * 3_000_000


@pytest.fixture(autouse=True)
def no_main(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of pages leave theirs, which a process would run."""
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))


def at_work() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if "spawn_main" in " ".join(one.cmdline())]


def test_results_come_in_the_order_of_things_and_no_process_stays() -> None:
    assert list(in_processes(math.sqrt, range(7), 2)) == [(n, n**0.5) for n in range(7)]
    assert list(in_processes(bytes.upper, [LARGER_THAN_A_PIPE] * 3, 2)) == [(LARGER_THAN_A_PIPE, b"X" * 3_000_000)] * 3
    assert list(in_processes(math.sqrt, [], 2)) == [] and at_work() == []


def test_things_are_taken_as_they_are_needed_and_who_stops_leaves_nothing_running() -> None:
    things = iter(range(100))
    results: Iterator[Any] = in_processes(math.sqrt, things, 2)
    assert next(results) == (0, 0.0) and next(things) == 3  # two in hand, and a third in place of the first
    assert len(at_work()) == 2
    results.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert at_work() == []


def test_what_the_work_raises_is_raised_here() -> None:
    with pytest.raises(ValueError, match=r"invalid literal for int.* 'x'"):
        list(in_processes(int, ["1", "x", "2"], 2))
    assert at_work() == []


@pytest.mark.parametrize(
    ("work", "thing", "killed"), [(signal.raise_signal, signal.SIGKILL, signal.SIGKILL), (os._exit, 3, None)]
)
def test_a_process_that_is_lost_is_told_with_what_ended_it(work: Callable[[Any], Any], thing: int, killed: int | None):
    with pytest.raises(LostProcess) as caught:
        list(in_processes(work, [thing] * 5, 2))
    assert caught.value.signal == killed and at_work() == []


def test_something_large_on_its_way_to_a_killed_process_holds_nobody_up() -> None:
    def things() -> Iterator[bytes]:
        yield LARGER_THAN_A_PIPE
        yield LARGER_THAN_A_PIPE
        for one in at_work():
            one.kill()
        yield LARGER_THAN_A_PIPE

    with pytest.raises(LostProcess):
        list(in_processes(len, things(), 2))
