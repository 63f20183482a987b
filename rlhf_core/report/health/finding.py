"""What a rule of health is: metrics and configuration in, a finding or nothing out; and the little all rules share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rlhf_core.report.words import number
from rlhf_core.runs.metrics import REGISTRY

LASTING = 3  # logged values in a row
FEW = 8  # values below which nothing is said of a trend


@dataclass(frozen=True)
class Finding:
    """Something out of order.

    Attributes:
        title: what, as a sentence without its full stop.
        evidence: the figures that show it, with their steps.
        advice: what people usually do about it.
        metric: the curve to look at.
    """

    title: str
    evidence: str
    advice: str
    metric: str


Config = Mapping[str, Any]
Rule = Callable[[pd.DataFrame, Config], Finding | None]


@dataclass(frozen=True)
class Curve:
    """The finite values of a metric, and the steps at which they were logged."""

    name: str
    steps: NDArray[np.int64]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def first(self) -> float:
        """The first value."""
        return float(self.values[0])

    @property
    def last(self) -> float:
        """The last value."""
        return float(self.values[-1])

    def where(self, wanted: NDArray[np.bool_]) -> Curve:
        """Return a part of it."""
        return Curve(self.name, self.steps[wanted], self.values[wanted])

    def bad_since(self, bad: NDArray[np.bool_]) -> int | None:
        """Return the step since which it has been bad, where that is its last `LASTING` values or more."""
        good = np.flatnonzero(~bad)
        start = int(good[-1]) + 1 if good.size else 0
        return int(self.steps[start]) if len(bad) - start >= LASTING else None


def curve(metrics: pd.DataFrame, name: str) -> Curve:
    """Return a metric; empty where it was not logged. Of a step that was logged again the last value counts."""
    if name not in metrics:
        return Curve(name, np.array([], dtype=np.int64), np.array([], dtype=np.float64))
    logged = metrics.loc[np.isfinite(metrics[name].to_numpy(dtype=float)), ["step", name]]
    logged = logged.drop_duplicates("step", keep="last")
    return Curve(name, logged["step"].to_numpy(dtype=np.int64), logged[name].to_numpy(dtype=np.float64))


def healthy(name: str) -> tuple[float, float]:
    """Return the range of the registry that a good run usually stays in."""
    found = REGISTRY[name].healthy
    assert found is not None, name
    return found


def outside(metrics: pd.DataFrame, name: str, title: str, advice: str) -> Finding | None:
    """Return the finding for a metric whose last values all lie outside its healthy range."""
    low, high = healthy(name)
    found = curve(metrics, name)
    return lasting(
        title, found, (found.values < low) | (found.values > high),
        lambda since: f"Outside {number(low, 1)} … {number(high, 1)} since step {since}, last {number(found.last)}.",
        advice,
    )  # fmt: skip


def lasting(
    title: str, found: Curve, bad: NDArray[np.bool_], evidence: Callable[[int], str], advice: str
) -> Finding | None:
    """Return the finding for a curve whose last values are all bad; `evidence` words it from the step since which they are."""
    since = found.bad_since(bad)
    return None if since is None else Finding(title, evidence(since), advice, found.name)
