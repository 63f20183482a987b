"""Estimate win rates, accuracies and paired differences with 95% intervals. Pure functions over frames and arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite, sqrt
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from rlhf_core.errors import DataError

LEVEL = 0.95
OUTCOMES = ("contender", "baseline", "tie", "both_bad")
VOTE_COLUMNS = ("prompt_id", "labeller", "baseline", "contender", "outcome", "score", "contender_side", "simulated")
MIN_CLUSTERS = 3
"""Below this many clusters a variance between clusters says next to nothing (t with one degree of freedom is 12.7)."""
MIN_BOOTSTRAP = 10
"""Below this many clusters the bootstrap has too few distinct resamples, and the t interval is used."""

Clusters = Sequence[str] | Sequence[int] | NDArray[Any]
Floats = NDArray[np.float64]


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
class McNemar:
    """Paired yes/no outcomes: `only_before` and `only_after` count the pairs that changed; `p_value` is two-sided."""

    n: int
    only_before: int
    only_after: int
    p_value: float


def side_of_zero(low: float | None, high: float | None) -> int:
    """Return 1 when an interval lies above 0, −1 when it lies below, 0 when it includes 0 or an end is missing."""
    if low is None or high is None:
        return 0
    return int(low > 0) - int(high < 0)


def win_rate(votes: pd.DataFrame) -> Estimate:
    """Estimate the contender's mean score (win 1, tie and both bad ½, loss 0), a share.

    The interval is cluster-robust by prompt, and by labeller when three or more judged; the wider of the two is given.

    Raises:
        DataError: no votes, columns missing, or votes of several comparisons (or human and simulated ones) together.
    """
    _check_votes(votes)
    return _share(votes["score"].to_numpy(), votes)


def outcome_shares(votes: pd.DataFrame) -> dict[str, Estimate]:
    """Estimate the share of each outcome (contender, baseline, tie, both_bad) among all votes.

    Raises:
        DataError: as `win_rate`.
    """
    _check_votes(votes)
    return {outcome: _share(votes["outcome"].to_numpy() == outcome, votes) for outcome in OUTCOMES}


def position_bias(votes: pd.DataFrame) -> Estimate | None:
    """Estimate the share of decided votes that side A won; ½ means no bias. None when no vote is decided.

    Raises:
        DataError: as `win_rate`.
    """
    _check_votes(votes)
    decided = votes.loc[votes["outcome"].isin(["contender", "baseline"])]
    if decided.empty:
        return None
    contender_won = decided["outcome"].to_numpy() == "contender"
    contender_is_a = decided["contender_side"].to_numpy() == "a"
    return _share(contender_won == contender_is_a, decided)


def win_rate_by(votes: pd.DataFrame, column: str) -> dict[str, Estimate]:
    """Estimate the win rate within each value of `column` (such as "category"), in the order of the values.

    Raises:
        DataError: as `win_rate`, or `column` is not there.
    """
    _check_votes(votes)
    _check_columns(votes, (column,))
    return {str(name): win_rate(group) for name, group in votes.groupby(column, sort=True)}


def accuracy_interval(correct: ArrayLike, clusters: Clusters | None = None) -> Estimate:
    """Estimate the mean of `correct` (0…1 each), cluster-robust over `clusters` (one label per value; None: all apart).

    With u_g = Σ_{i∈g} (x_i − x̄): V = G/(G−1) · Σ_g u_g² / n², interval x̄ ± t_{G−1}·√V (Liang & Zeger 1986).
    Where that is no use – fewer than three clusters, no variation, an end outside 0…1 – the Wilson score interval with
    the effective sample size x̄(1−x̄)/V stands in (Dean & Pagano 2015), with G in its place when V says nothing.

    Raises:
        DataError: no values, values that are missing or outside 0…1, or labels that do not match.
    """
    x = _numbers(correct, "values")
    if x.min() < 0 or x.max() > 1:
        raise DataError("a share needs values from 0 to 1", value=[float(x.min()), float(x.max())])
    sums, counts = _cluster_sums(x, clusters)
    n, groups, mean = len(x), len(sums), float(x.mean())
    informative = groups >= MIN_CLUSTERS and mean not in (0.0, 1.0)
    variance = _variance_of_mean(sums, counts) if informative else 0.0
    if variance <= 1e-12:
        return Estimate(mean, *_wilson(mean, groups, _z()), n, groups, "Wilson, one observation per cluster")
    quantile = _t(groups - 1)
    low, high = mean - quantile * sqrt(variance), mean + quantile * sqrt(variance)
    if low >= 0 and high <= 1:
        return Estimate(mean, low, high, n, groups, "cluster-robust t")
    effective = mean * (1 - mean) / variance
    return Estimate(mean, *_wilson(mean, effective, quantile), n, groups, "Wilson, cluster-robust")


def paired_difference(
    before: ArrayLike, after: ArrayLike, clusters: Clusters | None = None, bootstrap: int = 2000, seed: int = 0
) -> Estimate:
    """Estimate the mean of after − before, in the measure's own unit; `clusters` has one label per pair.

    BCa bootstrap (Efron 1987) with its level widened for few clusters, α/2 = Φ(−√(G/(G−1))·t_{G−1}) (Hesterberg 2015).
    Below ten clusters: the cluster-robust t interval. One cluster has no interval: its ends are −∞ and ∞.

    Raises:
        DataError: no pairs, a value missing, or lengths that differ.
    """
    old, new = _numbers(before, "values before"), _numbers(after, "values after")
    _check_lengths(old, new)
    sums, counts = _cluster_sums(new - old, clusters)
    mean, n, groups = float((new - old).mean()), len(old), len(sums)
    if groups == 1:
        return Estimate(mean, -inf, inf, n, 1, "none: one cluster shows no spread")
    error = sqrt(_variance_of_mean(sums, counts))
    if error <= 1e-12 * float(np.abs(new - old).max()):
        return Estimate(mean, mean, mean, n, groups, "none: no difference between clusters")
    if groups < MIN_BOOTSTRAP:
        half = _t(groups - 1) * error
        return Estimate(mean, mean - half, mean + half, n, groups, "cluster-robust t")
    low, high = _bca(sums, counts, bootstrap, seed)
    return Estimate(mean, low, high, n, groups, f"BCa bootstrap, {bootstrap} resamples of clusters")


def mcnemar_exact(before: ArrayLike, after: ArrayLike) -> McNemar:
    """Test whether a yes/no outcome changed, from the m pairs that did (McNemar 1947, exact).

    p = P(|B − m/2| ≥ |b − m/2|), B ~ Binomial(m, ½), b the pairs that were yes only before; 1 when m = 0.

    Raises:
        DataError: no pairs, lengths that differ, or values other than yes and no (1 and 0).
    """
    old, new = _numbers(before, "values before"), _numbers(after, "values after")
    _check_lengths(old, new)
    if not np.isin(np.concatenate([old, new]), [0, 1]).all():
        raise DataError("McNemar's test compares yes/no values", remedy="Apply a threshold first")
    only_before, only_after = int(np.sum(old > new)), int(np.sum(new > old))
    changed = only_before + only_after
    p_value = float(stats.binomtest(only_before, changed, 0.5).pvalue) if changed else 1.0
    return McNemar(len(old), only_before, only_after, p_value)


def _share(values: ArrayLike, votes: pd.DataFrame) -> Estimate:
    prompts, labellers = votes["prompt_id"].to_numpy(), votes["labeller"].to_numpy()
    by_prompt = _named(accuracy_interval(values, prompts), "by prompt")
    if len(set(labellers)) < MIN_CLUSTERS:
        return by_prompt
    by_labeller = _named(accuracy_interval(values, labellers), "by labeller")
    return max(by_prompt, by_labeller, key=lambda estimate: estimate.high - estimate.low)


def _named(estimate: Estimate, unit: str) -> Estimate:
    return replace(estimate, method=f"{estimate.method}, {unit}")


def _variance_of_mean(sums: Floats, counts: Floats) -> float:
    groups, n = len(sums), counts.sum()
    residuals = sums - counts * (sums.sum() / n)
    return float(groups / (groups - 1) * np.sum(residuals**2) / n**2)


def _wilson(mean: float, n: float, quantile: float) -> tuple[float, float]:
    """Return {θ: (mean − θ)² ≤ quantile²·θ(1−θ)/n} (Wilson 1927)."""
    squared = quantile**2 / n
    centre = (mean + squared / 2) / (1 + squared)
    half = sqrt(squared * mean * (1 - mean) + squared**2 / 4) / (1 + squared)
    return max(0.0, centre - half), min(1.0, centre + half)


def _bca(sums: Floats, counts: Floats, resamples: int, seed: int) -> tuple[float, float]:
    """Return the BCa ends. Means are rounded, so that resamples which tie with the data tie in any arithmetic."""
    groups, scale = len(sums), float(np.abs(sums / counts).max())
    tail = float(stats.norm.cdf(-sqrt(groups / (groups - 1)) * _t(groups - 1)))
    result = stats.bootstrap(
        (sums / scale, counts),
        lambda s, c, axis: np.round(s.sum(axis=axis) / c.sum(axis=axis), 12),
        n_resamples=resamples,
        paired=True,
        vectorized=True,
        confidence_level=1 - 2 * tail,
        method="BCa",
        rng=np.random.default_rng(seed),
    )
    return scale * float(result.confidence_interval.low), scale * float(result.confidence_interval.high)


def _z() -> float:
    return float(stats.norm.ppf((1 + LEVEL) / 2))


def _t(freedom: int) -> float:
    return float(stats.t.ppf((1 + LEVEL) / 2, freedom))


def _cluster_sums(x: Floats, clusters: Clusters | None) -> tuple[Floats, Floats]:
    """Return each cluster's sum and count."""
    if clusters is None:
        return x, np.ones_like(x)
    labels = np.asarray(clusters, dtype=object)
    _check_lengths(x, labels)
    codes = pd.factorize(labels, use_na_sentinel=True)[0]
    if (codes < 0).any():
        raise DataError("some cluster labels are missing", value=int((codes < 0).sum()))
    return np.bincount(codes, weights=x).astype(np.float64), np.bincount(codes).astype(np.float64)


def _numbers(values: ArrayLike, what: str) -> Floats:
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or not len(x):
        raise DataError(f"no {what}: expected a list of numbers", value=list(x.shape))
    if bad := int(np.sum(~np.isfinite(x))):
        raise DataError(f"{bad} of {len(x)} {what} are missing or infinite", remedy="Leave those rows out, and say so")
    return x


def _check_lengths(left: NDArray[Any], right: NDArray[Any]) -> None:
    if len(left) != len(right):
        raise DataError("lengths differ: expected one value for each", value=[len(left), len(right)])


def _check_columns(votes: pd.DataFrame, names: Sequence[str]) -> None:
    if missing := [name for name in names if name not in votes.columns]:
        raise DataError("columns are missing", where="votes", value=missing, remedy=f"There are {list(votes.columns)}")


def _check_votes(votes: pd.DataFrame) -> None:
    _check_columns(votes, VOTE_COLUMNS)
    if votes.empty:
        raise DataError("no votes to count", where="votes", remedy="Judge some pairs first")
    if unknown := sorted(set(votes["outcome"]) - set(OUTCOMES)):
        raise DataError("unknown outcomes", where="votes", value=unknown, remedy=f"Expected {', '.join(OUTCOMES)}")
    for column in ("simulated", "baseline", "contender"):
        if len(kinds := votes[column].unique()) > 1:
            raise DataError(
                f"several values of `{column}` in one estimate",
                where="votes",
                value=[str(kind) for kind in kinds],
                remedy=f"Filter the votes by `{column}` first: these are never pooled",
            )
