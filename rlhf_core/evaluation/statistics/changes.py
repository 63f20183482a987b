"""What changed between before and after: paired differences, and the exact test of yes/no outcomes that changed."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from rlhf_core.errors import DataError
from rlhf_core.evaluation.statistics.bootstrap import MIN_CLUSTERS, bca_ends
from rlhf_core.evaluation.statistics.checks import Floats, codes_of, numbers, same_length
from rlhf_core.evaluation.statistics.estimates import Estimate, t

FEW = 10
"""Below this many clusters that carry a difference its interval covers less than it says, and says so."""


@dataclass(frozen=True)
class McNemar:
    """Paired yes/no outcomes: `only_before` and `only_after` count the pairs that changed; `p_value` is two-sided."""

    n: int
    only_before: int
    only_after: int
    p_value: float


def paired_difference(
    before: ArrayLike, after: ArrayLike, clusters: ArrayLike | None = None, bootstrap: int = 2000, seed: int = 0
) -> Estimate:
    """Estimate the mean of after − before, in the measure's own unit; `clusters` has one label per pair.

    BCa bootstrap (`bootstrap.bca_ends`); below ten clusters the cluster-robust t interval. One cluster has no interval: its
    ends are −∞ and ∞.
    Where most clusters hardly change, few carry the difference, (Σ_g u_g²)²/Σ_g u_g⁴ of them for residuals u_g; below ten
    the interval is known to be short (30 prompts, a tenth of them toxic: 91%), and `method` ends in "resting on few".

    Raises:
        DataError: no pairs, a value missing, or lengths that differ.
    """
    old, new = numbers(before, "values before"), numbers(after, "values after")
    same_length(old, new)
    sums, counts = _cluster_sums(new - old, clusters)
    mean, n, groups = float((new - old).mean()), len(old), len(sums)
    if groups == 1:
        return Estimate(mean, -inf, inf, n, 1, "none: one cluster shows no spread")
    error = sqrt(_variance_of_mean(sums, counts))
    if error <= 1e-12 * float(np.abs(new - old).max()):
        return Estimate(mean, mean, mean, n, groups, "none: no difference between clusters")
    if groups < MIN_CLUSTERS:
        half = t(groups - 1) * error
        return Estimate(mean, mean - half, mean + half, n, groups, "cluster-robust t")
    low, high = _bca(sums, counts, bootstrap, seed)
    few = ", resting on few" if _carrying(sums, counts) < FEW else ""
    return Estimate(mean, low, high, n, groups, f"BCa bootstrap, {bootstrap} resamples of clusters{few}")


def mcnemar_exact(before: ArrayLike, after: ArrayLike) -> McNemar:
    """Test whether a yes/no outcome changed, from the m pairs that did (McNemar 1947, exact).

    p = P(|B − m/2| ≥ |b − m/2|), B ~ Binomial(m, ½), b the pairs that were yes only before; 1 when m = 0.

    Raises:
        DataError: no pairs, lengths that differ, or values other than yes and no (1 and 0).
    """
    old, new = numbers(before, "values before"), numbers(after, "values after")
    same_length(old, new)
    if not np.isin(np.concatenate([old, new]), [0, 1]).all():
        raise DataError("McNemar's test compares yes/no values", remedy="Apply a threshold first")
    only_before, only_after = int(np.sum(old > new)), int(np.sum(new > old))
    changed = only_before + only_after
    p_value = float(stats.binomtest(only_before, changed, 0.5).pvalue) if changed else 1.0
    return McNemar(len(old), only_before, only_after, p_value)


def _cluster_sums(x: Floats, clusters: ArrayLike | None) -> tuple[Floats, Floats]:
    """Return each cluster's sum and count."""
    if clusters is None:
        return x, np.ones_like(x)
    codes = codes_of(clusters)
    same_length(x, codes)
    return np.bincount(codes, weights=x).astype(np.float64), np.bincount(codes).astype(np.float64)


def _variance_of_mean(sums: Floats, counts: Floats) -> float:
    groups = len(sums)
    return float(groups / (groups - 1) * np.sum(_residuals(sums, counts) ** 2) / counts.sum() ** 2)


def _carrying(sums: Floats, counts: Floats) -> float:
    squares = _residuals(sums, counts) ** 2
    return float(squares.sum() ** 2 / np.sum(squares**2))


def _residuals(sums: Floats, counts: Floats) -> Floats:
    return sums - counts * (sums.sum() / counts.sum())


def _bca(sums: Floats, counts: Floats, resamples: int, seed: int) -> tuple[float, float]:
    """Return the ends for the mean, worked out near 1, where rounding is the same in any unit."""
    scale = float(np.abs(sums / counts).max())
    rows = np.column_stack([sums / scale, counts])
    low, high = bca_ends(rows, lambda totals: totals[..., 0] / totals[..., 1], resamples, seed)
    return scale * low, scale * high
