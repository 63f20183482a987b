"""Estimates with 95% intervals: the mean of values from 0 to 1, seen in clusters that are not independent within."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from rlhf_core.evaluation.statistics.checks import Codes, Floats, codes_of, same_length, shares

LEVEL = 0.95
SMALL = 50
"""Below this many yes/no values a count has so few values that coverage is 92–98%, as the share happens to lie."""
MIN_CLUSTERS = 3
"""Below this many clusters a variance between clusters says next to nothing (t with one degree of freedom is 12.7)."""


@dataclass(frozen=True)
class Estimate:
    """A value with its interval: `n` observations in `clusters` independent groups; `method` names how it was made."""

    value: float
    low: float
    high: float
    n: int
    clusters: int
    method: str
    level: float = LEVEL

    def as_json(self) -> dict[str, float | int | str | None]:
        """Return the fields as a dict that JSON can hold: an unbounded end becomes null."""
        return {
            name: None if isinstance(field, float) and not isfinite(field) else field
            for name, field in vars(self).items()
        }


@dataclass(frozen=True)
class Spread:
    """The estimated variance of a mean, and the degrees of freedom of that estimate."""

    variance: float
    freedom: float


def side_of_zero(low: float | None, high: float | None) -> int:
    """Return 1 when an interval lies above 0, −1 when it lies below, 0 when it includes 0 or an end is missing."""
    if low is None or high is None:
        return 0
    return int(low > 0) - int(high < 0)


def accuracy_interval(correct: ArrayLike, clusters: ArrayLike | None = None) -> Estimate:
    """Estimate the mean of `correct` (0…1 each), cluster-robust over `clusters` (one label per value; None: all apart).

    The Wilson score interval for n* = x̄(1−x̄)/V observations at t_ν (Dean & Pagano 2015), with V and ν of
    `spread_of`. Below three clusters, or without variation, V says nothing: n* = G, the number of clusters, at z.

    Raises:
        DataError: no values, values that are missing or outside 0…1, or labels that do not match.
    """
    x = shares(correct)
    codes = np.arange(len(x)) if clusters is None else codes_of(clusters)
    same_length(x, codes)
    return share_estimate(x, spread_of(x, codes), int(codes.max()) + 1, "by cluster")


def share_estimate(x: Floats, spread: Spread, groups: int, unit: str) -> Estimate:
    """Return the Wilson score interval of the mean of `x` for x̄(1−x̄)/V observations, or for one in each group."""
    mean = float(x.mean())
    if groups < MIN_CLUSTERS or mean in (0.0, 1.0) or spread.variance <= 1e-12:
        return Estimate(mean, *wilson(mean, groups, z()), len(x), groups, f"Wilson, one observation each, {unit}")
    ends = wilson(mean, mean * (1 - mean) / spread.variance, t(spread.freedom))
    few = f", under {SMALL} yes/no values" if len(x) < SMALL else ""
    method = "Wilson, cluster-robust" if isfinite(spread.freedom) else f"Wilson{few}"
    return Estimate(mean, *ends, len(x), groups, f"{method}, {unit}")


def spread_of(x: Floats, codes: Codes) -> Spread:
    """Return the spread of x̄ over clusters; yes/no values, one in each, have x̄(1−x̄)/n and nothing to estimate."""
    if int(codes.max()) + 1 == len(x) and np.isin(x, (0.0, 1.0)).all():
        return Spread(float(x.mean() * (1 - x.mean())) / len(x), inf)
    return cluster_spread(x, codes)


def cluster_spread(x: Floats, codes: Codes) -> Spread:
    """Estimate the variance of x̄ when values of one cluster are not independent; `codes` numbers clusters from 0.

    With w_g = n_g/n, u_g = Σ_{i∈g} (x_i − x̄) and S = Σ_g w_g²: V = Σ_g u_g²/(1 − 2w_g + S)/n², which has no bias
    when clusters differ by a random amount whatever their sizes, and is G/(G−1)·Σ u_g²/n² when those are equal.
    Its degrees of freedom are those of the χ² with the same mean and variance, G − 1 for equal sizes.
    The idea is Bell & McCaffrey (2002), "Bias reduction in standard errors", with clusters' means for the model.
    """
    counts = np.bincount(codes).astype(float)
    n, mean = len(x), x.mean()
    w = counts / n
    total = float(np.sum(w**2))
    if len(w) < 2:
        return Spread(0.0, 1.0)
    factor = 1 / (1 - 2 * w + total)
    residuals = np.bincount(codes, weights=x - mean)
    return Spread(float(np.sum(residuals**2 * factor)) / n**2, _freedom(w, factor))


def crossed(one: Codes, other: Codes) -> Codes:
    """Number the pairs of clusters that occur together, such as a prompt and a labeller."""
    return codes_of(one * (int(other.max()) + 1) + other)


def crossed_spread(x: Floats, prompts: Codes, labellers: Codes, cells: Codes) -> Spread:
    """Estimate the variance of x̄ when values share a prompt, a labeller, or both (Cameron, Gelbach & Miller 2011).

    `cells` numbers the pairs of both (`crossed`).

    V = max(V_p + V_l − V_pl, V_p, V_l), the last two because a difference of estimates can fall below either;
    ν = V²/(V_p²/ν_p + V_l²/ν_l) (Satterthwaite 1946). Where labellers spread no more than single votes do
    (V_l ≤ V_pl) they add nothing, and prompts alone decide.
    """
    by_prompt, by_labeller, by_cell = (cluster_spread(x, codes) for codes in (prompts, labellers, cells))
    if by_labeller.variance <= by_cell.variance:
        return by_prompt
    both = max(by_prompt.variance + by_labeller.variance - by_cell.variance, by_labeller.variance)
    parts = (by_prompt, by_labeller)
    return Spread(both, both**2 / sum(part.variance**2 / part.freedom for part in parts))


def wilson(mean: float, n: float, quantile: float) -> tuple[float, float]:
    """Return {θ: (mean − θ)² ≤ quantile²·θ(1−θ)/n} (Wilson 1927)."""
    squared = quantile**2 / n
    centre = (mean + squared / 2) / (1 + squared)
    half = sqrt(squared * mean * (1 - mean) + squared**2 / 4) / (1 + squared)
    return max(0.0, centre - half), min(1.0, centre + half)


def z() -> float:
    """Return the two-sided 95% point of the normal distribution."""
    return float(special.ndtri((1 + LEVEL) / 2))


def t(freedom: float) -> float:
    """Return the two-sided 95% point of Student's t."""
    return float(special.stdtrit(freedom, (1 + LEVEL) / 2)) if isfinite(freedom) else z()


def _freedom(w: Floats, factor: Floats) -> float:
    """Return tr(B)²/tr(B²), B_gh = w_g w_h √(f_g f_h)·(δ_gh − w_g − w_h + S): V is a quadratic form in B's χ²s."""
    total, a = float(np.sum(w**2)), w**2 * factor
    sums = [float(np.sum(a * w**power)) for power in range(3)]
    everywhere = total**2 * sums[0] ** 2 + 2 * sums[0] * sums[2] + 2 * sums[1] ** 2 - 4 * total * sums[0] * sums[1]
    diagonal = float(np.sum(w**4 - a**2 * (total - 2 * w) ** 2))
    return total**2 / (everywhere + diagonal)
