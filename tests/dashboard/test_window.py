"""Ranges as people write them, and as a mouse draws them."""

from __future__ import annotations

import pytest

from dashboard.services.window import read_window, write_window
from rlhf_core.errors import ConfigError

NOON = 1_795_348_800_000.0  # 2026-11-22 12:00 UTC in milliseconds since 1970: 20,779 days and a half


@pytest.mark.parametrize("text", ["1200–3400", "1200 - 3400", "1,200 to 3,400", "1200..3400", " 1200-3400 "])
def test_ranges_are_read_however_they_are_written(text: str) -> None:
    assert read_window(text, "step") == (1200.0, 3400.0)


def test_places_below_zero_are_read() -> None:
    assert read_window("-5–20", "step") == (-5.0, 20.0)


def test_nothing_written_is_everything() -> None:
    assert read_window("  ", "step") is None


def test_times_on_the_clock_are_read_in_utc() -> None:
    assert read_window("2026-11-22 12:00 to 2026-11-22 12:01", "clock") == (NOON, NOON + 60_000)


@pytest.mark.parametrize(
    ("axis", "window"), [("step", (3.0, 1_234_567.0)), ("time", (0.125, 9.5)), ("clock", (NOON, NOON + 5000))]
)
def test_what_is_written_is_read_back(axis: str, window: tuple[float, float]) -> None:
    assert read_window(write_window(window, axis), axis) == window


@pytest.mark.parametrize(
    ("text", "axis", "said"),
    [
        ("5", "step", r"Range: not a range \(found '5'\)\. Write it like 1200–3400"),
        ("a–b", "step", "not a range"),
        ("1–2–3", "step", "not a range"),
        ("yesterday to today", "clock", "Write it like 2026-11-22 14:00 to"),
        ("9–3", "step", "ends where it begins, or before"),
    ],
)
def test_what_is_no_range_is_refused_with_an_example(text: str, axis: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_window(text, axis)
