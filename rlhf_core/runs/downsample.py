"""Thin a long curve for drawing without losing an isolated spike."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rlhf_core.errors import DataError


def keep_extremes(values: NDArray[np.float64], limit: int = 1000) -> NDArray[np.int64]:
    """Return indices of at most `limit` points that keep every bucket's lowest and highest value.

    The points are cut into ⌊(limit − 2)/2⌋ buckets of equal count; each gives its minimum and maximum. The first and
    last points are kept. NaN is passed over unless a whole bucket is NaN.

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
    edges = np.linspace(0, count, (limit - 2) // 2 + 1).astype(np.int64)
    kept = [0, count - 1]
    for start, stop in pairwise(edges):
        bucket = values[start:stop]
        finite = np.flatnonzero(np.isfinite(bucket))
        if finite.size:
            kept += [int(start + finite[bucket[finite].argmin()]), int(start + finite[bucket[finite].argmax()])]
    return np.unique(np.array(kept, dtype=np.int64))
