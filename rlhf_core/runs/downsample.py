"""Thin a long curve for drawing without losing an isolated spike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rlhf_core.errors import DataError


def keep_extremes(values: NDArray[np.float64], limit: int = 1000) -> NDArray[np.int64]:
    """Return indices of at most `limit` points that keep every bucket's lowest and highest value, and what sticks out.

    A fifth of the points are those that differ most from the mean of their two neighbours, so that of several spikes in one
    bucket each is kept; MinMaxLTTB keeps at most two. The rest are cut into buckets of equal count; each gives its minimum
    and maximum. The first and last points are kept. NaN is passed over unless a whole bucket is NaN.

    Args:
        values: the curve's heights, one per step.
        limit: the most points to keep, at least 4.

    Raises:
        DataError: `limit` is below 4.
    """
    if limit < 4:
        raise DataError("limit is too small", where="keep_extremes", value=limit, remedy="Pass at least 4")
    count = len(values)
    if count <= limit:
        return np.arange(count, dtype=np.int64)
    share = limit // 5
    sticking_out, extremes = _spikes(values, share), _extremes(values, (limit - share - 2) // 2)
    return np.unique(np.concatenate([np.array([0, count - 1]), sticking_out, extremes]))


def _spikes(values: NDArray[np.float64], wanted: int) -> NDArray[np.int64]:
    """Return the `wanted` points that differ most from the mean of their two neighbours.

    None of them lies below the lowest of as many blocks' highest: what does is not sorted.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        away = np.abs(values[1:-1] - (values[:-2] + values[2:]) / 2)
    away[~np.isfinite(away)] = 0.0
    blocks = np.arange(0, len(away), max(1, len(away) // (4 * wanted or 1)))
    floor = np.sort(np.maximum.reduceat(away, blocks))[-wanted:].min()
    high = np.flatnonzero(away >= floor)
    return high[np.argsort(-away[high], kind="stable")[:wanted]] + 1


def _extremes(values: NDArray[np.float64], buckets: int) -> NDArray[np.int64]:
    """Return where each bucket is lowest and highest; NaN and infinities are passed over."""
    size = -(-len(values) // buckets)
    rows = np.full(buckets * size, np.nan)
    rows[: len(values)] = values
    rows = rows.reshape(buckets, size)
    finite = np.isfinite(rows)
    lowest, highest = np.where(finite, rows, np.inf).argmin(1), np.where(finite, rows, -np.inf).argmax(1)
    starts = np.arange(buckets) * size
    return np.concatenate([starts + lowest, starts + highest])[np.tile(finite.any(1), 2)]
