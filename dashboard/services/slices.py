"""A comparison by slices: the mean change of a measure and people's win rate, each with its interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboard.services.comparing import Comparison, Measure
from dashboard.services.prompt_table import NO_CATEGORY, terciles
from rlhf_core.evaluation.statistics import Estimate, paired_difference, win_rate_by

Labels = NDArray[np.object_]
LONGER, SHORTER, ALIKE = "longer by more than a quarter", "shorter by more than a quarter", "within a quarter"
ALL = ""


@dataclass(frozen=True)
class Slice:
    """One slice, "" of all prompts: the mean change over those with scores, and people's win rate; None where there is nothing."""

    name: str
    prompts: int
    change: Estimate | None
    win_rate: Estimate | None


def _categories(table: pd.DataFrame) -> Labels:
    return table["category"].replace("", NO_CATEGORY).to_numpy(object)


def _length_change(table: pd.DataFrame) -> Labels:
    before, after = (table[name].to_numpy(float) for name in ("words_before", "words_after"))
    return np.where(after > 1.25 * before, LONGER, np.where(after < 0.75 * before, SHORTER, ALIKE)).astype(object)


SLICES: dict[str, Callable[[pd.DataFrame], Labels]] = {
    "Category": _categories,
    "Length of the prompt": lambda table: terciles(table["prompt_words"].to_numpy(), "words"),
    "Length of the baseline’s answer": lambda table: terciles(table["words_before"].to_numpy(), "words"),
    "Change of length": _length_change,
}


def slices(
    compared: Comparison, part: pd.DataFrame, votes: pd.DataFrame, by: str, measure: Measure | None
) -> list[Slice]:
    """Return all prompts of `part`, then each slice of them by `SLICES[by]`.

    Args:
        part: rows of the comparison's table.
        votes: those on one criterion; changes are in the unit of `measure` (`compared.scale`).
    """
    labels = pd.Series(SLICES[by](part), index=part["prompt_id"].to_numpy(object), dtype=object)
    names = [ALL, *_ordered(part, labels)]
    rates = _rates(part, votes, labels)
    return [
        Slice(name, int(mask.sum()), _change(compared, part.loc[mask], measure), rates.get(name))
        for name in names
        for mask in [np.ones(len(part), dtype=bool) if name == ALL else (labels == name).to_numpy()]
    ]


def _ordered(part: pd.DataFrame, labels: pd.Series) -> list[str]:
    """Return the slices by name, those of length from short to long."""
    found = labels.unique().tolist()
    if set(found) <= {LONGER, SHORTER, ALIKE}:
        return [name for name in (SHORTER, ALIKE, LONGER) if name in found]
    numbered = all(name.split()[0].isdigit() and name.endswith("words") for name in found)
    return sorted(found, key=lambda name: int(name.split()[0])) if numbered else sorted(found)


def _rates(part: pd.DataFrame, votes: pd.DataFrame, labels: pd.Series) -> dict[str, Estimate]:
    mine = votes.loc[votes["prompt_id"].isin(part["prompt_id"])] if len(votes) else votes
    if mine.empty:
        return {}
    sliced = mine.assign(slice=labels.loc[mine["prompt_id"]].to_numpy(object))
    return win_rate_by(sliced.assign(slice=ALL), "slice") | win_rate_by(sliced, "slice")


def _change(compared: Comparison, part: pd.DataFrame, measure: Measure | None) -> Estimate | None:
    if measure is None:
        return None
    before, after = (part[measure.column(side)].to_numpy(float) for side in ("before", "after"))
    known = np.isfinite(before) & np.isfinite(after)
    scale = compared.scale[measure][1]
    return paired_difference(before[known] / scale, after[known] / scale) if known.any() else None
