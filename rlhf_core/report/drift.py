"""Reward against drift: what the held-out score bought at which KL, and what was not optimised beside it.

Gao et al. 2022 (arXiv 2210.10760): against √KL a proxy reward goes on rising where the true one has turned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rlhf_core.report.words import number
from rlhf_core.runs.reader import RunReader

AUDIT = "eval/audit_"
MEASURES = ("eval/response_length", "eval/distinct_2", "eval/perplexity_ref")
"""What is known to give way when a score is overdone, beside the audits."""


@dataclass(frozen=True)
class Point:
    """One held-out measurement: iteration, KL in nats per response, mean score, and each audit by its scorer's name."""

    step: int
    kl: float
    score: float
    audits: dict[str, float]


@dataclass(frozen=True)
class Drift:
    """Where a run began, where its held-out score was best, the state that became the model, and all it went through."""

    start: Point
    best: Point
    end: Point
    path: tuple[Point, ...]

    @property
    def sentence(self) -> str:
        """The three points in words, with what the audits say of the first and the last."""
        audits = [
            f"{name}, which was not optimised, went from {number(before, 3)} to {number(self.end.audits[name], 3)}"
            for name, before in self.start.audits.items()
            if name in self.end.audits
        ]
        best = "its best" if self.best.step == self.end.step else f"after {_at(self.best)} at its best"
        said = f"In training the held-out score went from {number(self.start.score)} to {_at(self.end)}, {best}."
        return said + (f" Meanwhile {'; '.join(audits)}." if audits else "")


def drift_frame(reader: RunReader) -> pd.DataFrame:
    """Return one row per held-out measurement of PPO by step: `kl`, `root_kl`, `score`, then the measures beside it.

    KL and score are means over the completions kept; √KL is 0 where the estimate is negative. A run without completions
    gives no rows, one that did not log a measure has no column for it.
    """
    means = pd.DataFrame(reader.samples("ppo").groupby("step")[["kl", "score"]].mean(), dtype=float)
    means.insert(1, "root_kl", np.sqrt(np.maximum(means["kl"].to_numpy(), 0.0)))
    metrics = reader.metrics("ppo")
    beside = [name for name in metrics if name.startswith(AUDIT) or name in MEASURES]
    logged = metrics.dropna(subset=beside, how="all") if beside else metrics.iloc[:0]
    return means.join(logged.drop_duplicates("step", keep="last").set_index("step")[beside]).reset_index()


def find_drift(reader: RunReader) -> Drift | None:
    """Return the landmarks of a run's held-out measurements; None with fewer than two."""
    frame, outcome = drift_frame(reader), reader.outcome()
    if len(frame) < 2:
        return None
    points = [_point(row) for row in frame.to_dict("records")]
    best = max(points, key=lambda point: point.score)
    end = next((p for p in points if outcome and p.step == outcome.measured), points[-1])
    return Drift(points[0], best, end, tuple(points))


def _point(row: dict[str, float]) -> Point:
    audits = {name.removeprefix(AUDIT): v for name, v in row.items() if name.startswith(AUDIT) and v == v}
    return Point(int(row["step"]), row["kl"], row["score"], audits)


def _at(point: Point) -> str:
    return f"{number(point.score)} (step {point.step}, KL {number(point.kl, 1)} nats)"
