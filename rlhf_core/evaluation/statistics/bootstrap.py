"""The one bootstrap: BCa ends for a statistic of totals, clusters drawn with replacement."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from rlhf_core.evaluation.statistics.checks import Floats
from rlhf_core.evaluation.statistics.estimates import t

RESAMPLES = 2000
MIN_CLUSTERS = 10
"""Below this many clusters there are too few distinct resamples."""
CELLS = 5_000_000
"""How many numbers the resamples of one batch may hold."""

Statistic = Callable[[Any], Floats]


def bca_ends(sums: Floats, statistic: Statistic, resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, float]:
    """Return the BCa interval's ends for `statistic` of the clusters' totals (Efron 1987, "Better bootstrap confidence intervals").

    A resample's totals are Σ_k m_k·x_k over the distinct rows x_k of `sums`, m ~ Multinomial(G, share of each): drawing
    clusters one by one, at the price of the distinct ones. With θ* the resamples' values, z₀ = Φ⁻¹(share of θ* below θ, ties
    half), a = Σ_g d_g³/6(Σ_g d_g²)^{3/2} for d_g the jackknife's mean less the value without g, and z = −√(G/(G−1))·t_{G−1},
    wider than −1.96 for few clusters (Hesterberg 2015): the ends are the quantiles Φ(z₀ + (z₀ ± z)/(1 − a(z₀ ± z))) of θ*.
    Values are rounded to 12 digits, so that resamples which tie with the data tie in any arithmetic.

    Args:
        sums: (cluster, column), each cluster's contribution to the totals, of a size near 1.
        statistic: maps totals (…, column) to values (…); it must differ where one cluster is left out.
    """
    groups, total = len(sums), sums.sum(axis=0)
    tally = pd.DataFrame(sums).value_counts(sort=False)
    kinds, counts = tally.index.to_frame().to_numpy(dtype=float), tally.to_numpy()
    drawn = _resampled(kinds, counts, statistic, resamples, np.random.default_rng(seed))
    value = np.round(statistic(total), 12)
    below = ((drawn < value).mean() + (drawn <= value).mean()) / 2
    bias = special.ndtri(np.clip(below, 0.5 / resamples, 1 - 0.5 / resamples))
    left_out = statistic(total - kinds)
    d = np.average(left_out, weights=counts) - left_out
    acceleration = (counts @ d**3) / (6 * (counts @ d**2) ** 1.5)
    reach = sqrt(groups / (groups - 1)) * t(groups - 1)
    moved = bias + np.array([-reach, reach])
    low, high = np.quantile(drawn, special.ndtr(bias + moved / (1 - acceleration * moved)))
    return float(low), float(high)


def _resampled(kinds: Floats, counts: Floats, statistic: Statistic, resamples: int, rng: np.random.Generator) -> Floats:
    batch, groups = max(1, CELLS // len(kinds)), int(counts.sum())
    sizes = [min(batch, resamples - start) for start in range(0, resamples, batch)]
    totals = [rng.multinomial(groups, counts / groups, size=size) @ kinds for size in sizes]
    return np.round(statistic(np.concatenate(totals)), 12)
