"""Compare contenders prompt by prompt: paired differences with 95% intervals, overall and by category."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rlhf_core.data.contenders import KL_SOURCE, best_of_kl_bound, in_order, parse_best_of
from rlhf_core.errors import DataError
from rlhf_core.evaluation.statistics import paired_difference

Floats = NDArray[np.float64]
COLUMNS = ("prompt_id", "category", "contender", "scorer", "measure", "value")
UNITS = {"words": "words", "finished": "share", "refusal": "share"}


def compare(rows: Iterable[Mapping[str, Any]], *, bootstrap: int = 2000, seed: int = 0) -> list[dict[str, Any]]:
    """Compare every two contenders on every measure: the rows of `evaluation/comparisons.json`.

    `difference` is the mean over prompts of contender − baseline, in `unit`. Reward-model differences are divided
    by the standard deviation of the base contender's scores ("base SD"); the two means stay as scored. Prompts that
    one side did not answer are left out (`n` counts those compared); several answers to one prompt are averaged.

    Raises:
        DataError: columns missing, or values that are not numbers.
    """
    frame = _frame(rows)
    found: list[dict[str, Any]] = []
    for (scorer, measure), part in _groups(frame):
        wide = part.pivot_table(index=["prompt_id", "category"], columns="contender", values="value").reset_index()
        unit, scale = unit_of(scorer, measure, wide)
        for baseline, contender in combinations(_ordered(wide), 2):
            label = {"scorer": scorer, "measure": measure, "unit": unit, "baseline": baseline, "contender": contender}
            for category, pairs in _slices(wide.dropna(subset=[baseline, contender])):
                numbers = _compare_pairs(_column(pairs, baseline), _column(pairs, contender), scale, bootstrap, seed)
                found.append(label | {"category": category} | numbers)
    return found


def unit_of(scorer: str, measure: str, wide: pd.DataFrame) -> tuple[str, float]:
    """Return a measure's unit, and what to divide its differences by; `wide` has a column of values for each contender."""
    if scorer == "reward model":
        scores = _column(wide.dropna(subset=["base"]), "base") if "base" in wide else np.zeros(0)
        spread = float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0
        return ("base SD", spread) if spread > 0 else ("score", 1.0)
    return UNITS.get(measure, "probability"), 1.0


def kl_summary(nats: Sequence[float], *, bootstrap: int = 2000, seed: int = 0) -> dict[str, Any]:
    """Return the mean of per-response KL estimates Σ_t log π − log π_ref (nats per response) with its interval."""
    estimate = paired_difference(np.zeros(len(nats)), nats, bootstrap=bootstrap, seed=seed).as_json()
    return {name: estimate[name] for name in ("value", "low", "high", "n")} | {"unit": "nats per response"}


def best_of_summary(contenders: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return, for each best-of-n contender, n, its base, and the bound on its KL to that base with its source."""
    found = {name: best for name in contenders if (best := parse_best_of(name))}
    return {
        name: {
            "n": b.n,
            "base": b.base,
            "kl_bound": best_of_kl_bound(b.n),
            "unit": "nats per response",
            "source": KL_SOURCE,
        }
        for name, b in found.items()
    }


def _frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=None)
    if frame.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    if missing := [name for name in COLUMNS if name not in frame]:
        raise DataError("columns are missing", where="scores", value=missing, remedy=f"Expected {', '.join(COLUMNS)}")
    values = np.asarray(pd.to_numeric(frame["value"], errors="coerce"), dtype=float)
    wrong = ~np.isfinite(values)
    if wrong.any():
        first = frame[wrong].iloc[0].to_dict()
        raise DataError(f"{wrong.sum()} scores are not numbers", where="scores", value=first, remedy="Score again")
    return frame.assign(value=values)


def _groups(frame: pd.DataFrame) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    """Return the rows of each (scorer, measure), in order of appearance."""
    pairs = list(dict.fromkeys(zip(frame["scorer"], frame["measure"], strict=True)))
    return [(pair, frame.loc[(frame["scorer"] == pair[0]) & (frame["measure"] == pair[1])]) for pair in pairs]


def _column(frame: pd.DataFrame, name: str) -> Floats:
    return frame[name].to_numpy(dtype=float)


def _ordered(wide: pd.DataFrame) -> list[str]:
    return in_order(name for name in wide.columns if name not in ("prompt_id", "category"))


def _slices(wide: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return all pairs under "", then each category's, when there are several."""
    if wide.empty:
        return []
    categories = sorted(wide["category"].unique())
    parts = [(str(name), wide.loc[wide["category"] == name]) for name in categories if name and len(categories) > 1]
    return [("", wide), *parts]


def _compare_pairs(before: Floats, after: Floats, scale: float, bootstrap: int, seed: int) -> dict[str, Any]:
    estimate = paired_difference(before / scale, after / scale, bootstrap=bootstrap, seed=seed).as_json()
    return {
        "n": len(before),
        "mean_baseline": float(before.mean()),
        "mean_contender": float(after.mean()),
        "difference": estimate["value"],
        "low": estimate["low"],
        "high": estimate["high"],
        "share_up": float((after > before).mean()),
        "share_down": float((after < before).mean()),
        "method": estimate["method"],
    }
