"""Reward against drift, as the training page draws it and sums it up."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from dashboard.services import curve_names
from dashboard.services.catalogue import RunEntry
from rlhf_core.report.drift import drift_frame, find_drift
from rlhf_core.runs.metrics import find_metric

SCORE = "score"


@dataclass(frozen=True)
class DriftView:
    """Held-out measures against drift: the rows, which columns to draw, the steps worth a name, the summary."""

    frame: pd.DataFrame
    measures: tuple[str, ...]
    marks: dict[int, str]
    sentence: str

    @property
    def reach(self) -> float:
        """Largest √KL, at least a tenth, for an axis all measures share."""
        return max(*self.frame["root_kl"].to_numpy().tolist(), 0.1)


def view_drift(entry: RunEntry) -> DriftView | None:
    """Return reward against drift of one run; None before its second held-out measurement."""
    drift = find_drift(entry.reader)
    if drift is None:
        return None
    frame = drift_frame(entry.reader)
    beside = [name for name in frame.dropna(axis="columns", how="all") if name.startswith("eval/")]
    end = "model" if entry.reader.outcome() else "last"
    marks = {drift.best.step: "best", drift.end.step: end}
    if drift.best.step == drift.end.step:
        marks = {drift.best.step: f"best, {end}"}
    audits_first = sorted(beside, key=lambda name: not name.startswith("eval/audit_"))
    return DriftView(frame, (SCORE, *audits_first), marks, drift.sentence)


def describe_measure(measure: str) -> tuple[str, str]:
    """Return a measure's name on the page and its unit, empty for a plain number."""
    metric = "eval/score" if measure == SCORE else measure
    unit = find_metric(metric).unit
    return curve_names.label(metric), "" if unit == "1" else unit
