"""Thinning keeps spikes, ends and order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlhf_core.errors import DataError
from rlhf_core.runs.downsample import keep_extremes


@given(st.integers(1, 3000), st.integers(0, 10_000), st.integers(4, 200))
def test_an_isolated_spike_survives(count: int, place: int, limit: int) -> None:
    values = np.zeros(count)
    values[place % count] = 1.0
    kept = keep_extremes(values, limit)
    assert place % count in kept
    assert len(kept) <= limit
    assert {0, count - 1} <= set(kept.tolist())
    assert np.all(np.diff(kept) > 0)


def test_a_downward_spike_survives_too() -> None:
    values = np.zeros(5000)
    values[4321] = -1.0
    assert 4321 in keep_extremes(values, 50)


def test_spikes_within_one_bucket_of_a_slope_all_survive() -> None:
    values = np.arange(5000.0)  # neighbours differ by 1, and a bucket of limit 50 spans more than the spikes are high
    places = list(range(4000, 4024, 3))  # eight, of the ten points that are kept for sticking out
    values[places] += 3.0
    assert set(places) <= set(keep_extremes(values, 50).tolist())


@given(st.integers(10, 400), st.integers(10, 60), st.integers(0, 2**32 - 1))
def test_what_sticks_out_most_is_kept_whatever_the_curve(count: int, limit: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=count) * rng.choice([0.0, 1.0, 100.0], size=count)
    away = {n: abs(values[n] - (values[n - 1] + values[n + 1]) / 2) for n in range(1, count - 1)}
    most = sorted(away, key=lambda n: -away[n])[: limit // 5]
    assert count <= limit or set(most) <= set(keep_extremes(values, limit).tolist())


def test_a_short_curve_is_kept_whole() -> None:
    assert keep_extremes(np.array([3.0, 1.0, 2.0]), 4).tolist() == [0, 1, 2]


def test_nan_is_passed_over() -> None:
    # 8 points, limit 4: one bucket; its lowest is at 2, its highest at 5, the ends are 0 and 7.
    values = np.array([np.nan, 1.0, -2.0, 0.0, np.nan, 9.0, 1.0, np.nan])
    assert keep_extremes(values, 4).tolist() == [0, 2, 5, 7]


def test_a_limit_too_small_is_refused() -> None:
    with pytest.raises(DataError, match=r"keep_extremes: limit is too small \(found 3\)\. Pass at least 4"):
        keep_extremes(np.zeros(10), 3)
