"""How far labellers agree beyond chance: raw agreement, Krippendorff's α and Fleiss' κ by criterion, Cohen's κ for two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rlhf_core.errors import DataError
from rlhf_core.evaluation.ballots import Counts, by_criterion, count_outcomes, item_votes
from rlhf_core.evaluation.resampling import Floats, cluster_estimate
from rlhf_core.evaluation.statistics import OUTCOMES, Estimate, accuracy_interval

T = TypeVar("T")
NO_VARIATION = "Chance alone explains agreement without variation"


@dataclass(frozen=True)
class Agreement:
    """What labellers' agreement on one criterion is, or in `problems` why a figure is None.

    Attributes:
        items: items with two votes or more, which are those that count; `single_items` have one vote.
        votes: votes on `items`.
        raw: share of agreeing pairs of votes on an item, mean over items.
        alpha: Krippendorff's α, nominal: 1 is perfect agreement, 0 what chance gives.
        fleiss: Fleiss' κ over the `fleiss_items` that have the commonest number of votes.
    """

    criterion: str
    labellers: int
    items: int
    single_items: int
    votes: int
    raw: Estimate | None
    alpha: Estimate | None
    fleiss: float | None
    fleiss_items: int
    problems: tuple[str, ...]


def agreement(votes: pd.DataFrame) -> dict[str, Agreement]:
    """Measure the agreement between labellers on each criterion; gold items and repeats are left out.

    All four outcomes are verdicts of their own: a tie and "both bad" disagree. Raw agreement of item i with m_i votes, n_ic
    of them for outcome c, is P_i = Σ_c n_ic(n_ic − 1)/(m_i(m_i − 1)). Items of one prompt are resampled together.

    Raises:
        DataError: columns missing, no votes, unknown outcomes, or people and simulations together.
    """
    return {criterion: _agreement(criterion, part) for criterion, part in by_criterion(item_votes(votes))}


def krippendorff_alpha(counts: Counts, clusters: Sequence[Any] | NDArray[Any] | None = None) -> Estimate:
    """Estimate Krippendorff's α for nominal verdicts, with an interval over resampled clusters of items.

    α = 1 − D_o/D_e, D_o = Σ_i Σ_c n_ic(m_i − n_ic)/(m_i − 1)/n, D_e = (n² − Σ_c n_c²)/(n(n − 1)), n = Σ_i m_i over items with
    two votes or more. The value is that of the library krippendorff. Both terms are functions of sums over items, so a
    resample needs those sums only; one without any variation counts as α = 0. Where all pairs of votes agree the bootstrap
    sees no spread: the interval then is that of raw agreement, 1 − (1 − [low, high])/D_e.

    Args:
        counts: (item, outcome), the number of votes.
        clusters: (item,), items with one label are resampled together; None: each alone.

    Raises:
        DataError: no item with two votes, or all votes are for one outcome.

    Source: Krippendorff, Content Analysis (2004), chapter 11.
    """
    import krippendorff

    counts, labels = np.asarray(counts), np.arange(len(counts)) if clusters is None else np.asarray(clusters)
    paired = counts.sum(axis=1) >= 2
    counts, labels = counts[paired], labels[paired]
    if not len(counts):
        raise DataError("no item has two votes", remedy="Agreement needs several labellers on the same items")
    if np.count_nonzero(counts.sum(axis=0)) < 2:
        raise DataError("every vote is for the same outcome", remedy=NO_VARIATION)
    value = float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))
    sums = _sum_by(labels, np.column_stack([_disagreement(counts), counts.astype(np.float64)]))
    if not sums[:, 0].any():
        n = counts.sum()
        return _perfect(labels, (n**2 - np.sum(counts.sum(axis=0) ** 2)) / (n * (n - 1)))
    return cluster_estimate(value, sums, alpha_of_sums, len(counts), _unit(clusters))


def alpha_of_sums(totals: Floats) -> Floats:
    """Return α = 1 − (n − 1)·D/(n² − Σ_c n_c²) of totals (…, 1 + outcome): D, then n_c; 0 where one outcome has all votes."""
    disagreement, by_outcome = totals[..., 0], totals[..., 1:]
    n = by_outcome.sum(axis=-1)
    apart = n**2 - (by_outcome**2).sum(axis=-1)
    return np.where(apart > 0, 1 - (n - 1) * disagreement / np.where(apart > 0, apart, 1), 0.0)


def fleiss_kappa(counts: Counts) -> tuple[float, int]:
    """Return Fleiss' κ and how many items it is of: those with the commonest number m ≥ 2 of votes (the largest such m).

    κ = (P̄ − P̄_e)/(1 − P̄_e), P̄ = mean of Σ_c n_ic(n_ic − 1)/(m(m − 1)), P̄_e = Σ_c p_c². It is defined for equal numbers of
    votes only; α takes all items.

    Args:
        counts: (item, outcome), the number of votes.

    Raises:
        DataError: no item with two votes, or all those votes are for one outcome.

    Source: Fleiss (1971); statsmodels computes it.
    """
    from statsmodels.stats.inter_rater import fleiss_kappa as statsmodels_fleiss_kappa

    sizes = counts.sum(axis=1)
    if not (sizes >= 2).any():
        raise DataError("no item has two votes", remedy="Agreement needs several labellers on the same items")
    common = np.bincount(sizes[sizes >= 2])
    table = counts[sizes == len(common) - 1 - int(common[::-1].argmax())]
    if np.count_nonzero(table.sum(axis=0)) < 2:
        raise DataError("every vote is for the same outcome", remedy=NO_VARIATION)
    return float(statsmodels_fleiss_kappa(table)), len(table)


def cohen_kappa(
    first: Sequence[str] | NDArray[Any],
    second: Sequence[str] | NDArray[Any],
    clusters: Sequence[Any] | NDArray[Any] | None = None,
) -> Estimate:
    """Estimate Cohen's κ between two raters' outcomes, with an interval over resampled clusters.

    κ = (p_o − p_e)/(1 − p_e), p_o = Σ_c p_cc, p_e = Σ_c p_c·p_·c. A resample in which p_e = 1 counts as κ = 0. Perfect
    agreement has the interval of raw agreement, carried over as in `krippendorff_alpha`.

    Args:
        first, second: (item,), outcomes of the two.
        clusters: (item,), items with one label are resampled together; None: each alone.

    Raises:
        DataError: no items, lengths that differ, unknown outcomes, or both raters only ever gave one and the same outcome.

    Source: Cohen (1960); statsmodels computes it.
    """
    from statsmodels.stats.inter_rater import cohens_kappa

    if len(first) != len(second) or not len(first):
        raise DataError("expected the outcomes of two raters for the same items", value=[len(first), len(second)])
    names = pd.Index(OUTCOMES)
    rows, columns = names.get_indexer(pd.Index(first)), names.get_indexer(pd.Index(second))
    if min(rows.min(), columns.min()) < 0:
        raise DataError("unknown outcomes", remedy=f"Expected {', '.join(OUTCOMES)}")
    if len({*rows, *columns}) < 2:
        raise DataError("both raters always gave the same outcome", value=str(first[0]))
    cells = np.eye(len(OUTCOMES) ** 2)[rows * len(OUTCOMES) + columns]
    table = cells.sum(axis=0).reshape(len(OUTCOMES), -1)
    labels = np.arange(len(cells)) if clusters is None else np.asarray(clusters)
    if np.array_equal(rows, columns):
        return _perfect(labels, 1 - np.sum((table.sum(axis=0) / len(cells)) ** 2))
    value: Any = cohens_kappa(table, return_results=False)
    return cluster_estimate(float(value), _sum_by(labels, cells), kappa_of_sums, len(cells), _unit(clusters))


def kappa_of_sums(totals: Floats) -> Floats:
    """Return Cohen's κ of flattened tables of counts (…, outcome × outcome); 0 where p_e = 1."""
    size = len(OUTCOMES)
    table = totals.reshape(*totals.shape[:-1], size, size)
    n = totals.sum(axis=-1)
    observed = np.trace(table, axis1=-2, axis2=-1) / n
    expected = (table.sum(axis=-1) * table.sum(axis=-2)).sum(axis=-1) / n**2
    return np.where(expected < 1, (observed - expected) / np.where(expected < 1, 1 - expected, 1), 0.0)


def _agreement(criterion: str, votes: pd.DataFrame) -> Agreement:
    items, counts = count_outcomes(votes)
    paired = counts.sum(axis=1) >= 2
    prompts = items["prompt_id"].to_numpy()
    problems: list[str] = []
    raw = accuracy_interval(_agreeing_pairs(counts[paired]), prompts[paired]) if paired.any() else None
    alpha = _or_say(lambda: krippendorff_alpha(counts, prompts), "Krippendorff's α", problems)
    fleiss, fleiss_items = _or_say(lambda: fleiss_kappa(counts), "Fleiss' κ", problems) or (None, 0)
    return Agreement(
        criterion=criterion,
        labellers=len(votes["labeller"].unique()),
        items=int(paired.sum()),
        single_items=int((~paired).sum()),
        votes=int(counts[paired].sum()),
        raw=raw,
        alpha=alpha,
        fleiss=fleiss,
        fleiss_items=fleiss_items,
        problems=tuple(problems),
    )


def _or_say(measure: Callable[[], T], name: str, problems: list[str]) -> T | None:
    """Return what `measure` finds, or None and the reason among `problems`."""
    try:
        return measure()
    except DataError as error:
        problems.append(f"{name} is not defined: {error.what}")
        return None


def _perfect(labels: NDArray[Any], expected: float) -> Estimate:
    """Return 1 with raw agreement's interval in units of the disagreement that chance gives."""
    raw = accuracy_interval(np.ones(len(labels)), labels)
    low = float(1 - (1 - raw.low) / expected)
    return replace(raw, low=low, high=1.0, method=f"raw agreement's interval: {raw.method}")


def _unit(clusters: object) -> str:
    return "items" if clusters is None else "prompts"


def _agreeing_pairs(counts: Counts) -> Floats:
    """Return P_i, (item,)."""
    sizes = counts.sum(axis=1)
    return (counts * (counts - 1)).sum(axis=1) / (sizes * (sizes - 1))


def _disagreement(counts: Counts) -> Floats:
    """Return Σ_c n_ic(m_i − n_ic)/(m_i − 1), (item,)."""
    sizes = counts.sum(axis=1, keepdims=True)
    return (counts * (sizes - counts)).sum(axis=1) / (sizes[:, 0] - 1)


def _sum_by(labels: NDArray[Any], values: Floats) -> Floats:
    """Return the sums of rows with one label, (label, column)."""
    codes, names = pd.factorize(labels)
    sums = [np.bincount(codes, weights=column, minlength=len(names)) for column in values.T]
    return np.stack(sums, axis=1).astype(np.float64)
