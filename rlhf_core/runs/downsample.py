"""Thin a long curve for drawing without losing an isolated spike."""

from __future__ import annotations

from itertools import pairwise

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
    sticking_out = _spikes(values, share)
    edges = np.linspace(0, count, (limit - share - 2) // 2 + 1).astype(np.int64)
    kept = [0, count - 1]
    for start, stop in pairwise(edges):
        bucket = values[start:stop]
        finite = np.flatnonzero(np.isfinite(bucket))
        if finite.size:
            kept += [int(start + finite[bucket[finite].argmin()]), int(start + finite[bucket[finite].argmax()])]
    return np.unique(np.concatenate([np.array(kept, dtype=np.int64), sticking_out]))


def _spikes(values: NDArray[np.float64], wanted: int) -> NDArray[np.int64]:
    """Return the `wanted` points that differ most from the mean of their two neighbours."""
    with np.errstate(invalid="ignore", over="ignore"):
        away = np.abs(values[1:-1] - (values[:-2] + values[2:]) / 2)
    away[~np.isfinite(away)] = 0.0
    return np.argpartition(-away, wanted)[:wanted] + 1
