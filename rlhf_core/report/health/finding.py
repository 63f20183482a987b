"""What a rule of health is: metrics and configuration in, a finding or nothing out; and the little all rules share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

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


def curve(metrics: pd.DataFrame, name: str) -> pd.Series[float]:
    """Return the finite values of a metric by step; empty where it was not logged."""
    if name not in metrics:
        return pd.Series(dtype=float)
    values = metrics[name].to_numpy(dtype=float)
    finite = np.isfinite(values)
    found = pd.Series(values[finite], index=metrics["step"].to_numpy()[finite])
    return found[~found.index.duplicated(keep="last")]


def lasting(bad: pd.Series[bool]) -> int | None:
    """Return the step since which a curve has been bad, where that is its last `LASTING` values or more."""
    good = np.flatnonzero(~bad.to_numpy(dtype=bool))
    start = int(good[-1]) + 1 if good.size else 0
    return int(bad.index[start]) if len(bad) - start >= LASTING else None


def healthy(name: str) -> tuple[float, float]:
    """Return the range of the registry that a good run usually stays in."""
    found = REGISTRY[name].healthy
    assert found is not None, name
    return found


def outside(metrics: pd.DataFrame, name: str, title: str, advice: str) -> Finding | None:
    """Return the finding for a metric whose last values all lie outside its healthy range."""
    low, high = healthy(name)
    values = curve(metrics, name)
    since = lasting((values < low) | (values > high))
    if since is None:
        return None
    evidence = f"Outside {number(low, 1)} … {number(high, 1)} since step {since}, last {number(values.iloc[-1])}."
    return Finding(title, evidence, advice, name)
