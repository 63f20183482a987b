"""When did a PPO run's held-out score first pass a gain? Read from the run directory, nothing is run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlhf_core.errors import RunError

GAIN, LIMIT = 0.8, 240.0
"""In SD of the reference's scores, and in seconds."""


def first_reached(rows: Sequence[dict[str, Any]], gain: float) -> tuple[int, float] | None:
    """Return (iteration, seconds after the step-0 measurement) at which eval/score first was `gain` above step 0."""
    measured = [row for row in rows if row.get("eval/score") is not None]
    if not measured or measured[0]["step"] != 0:
        return None
    start = measured[0]
    late = (row for row in measured if row["eval/score"] >= start["eval/score"] + gain)
    return next(((row["step"], row["time"] - start["time"]) for row in late), None)


def describe(run: Path) -> str:
    """Say in a line when the PPO stage of `run` reached the gain.

    Raises:
        RunError: the run has no PPO metrics.
    """
    path = run / "ppo" / "metrics.jsonl"
    if not path.is_file():
        raise RunError("no PPO metrics", where=path, remedy="Give a run directory, such as runs/quickstart")
    lines = path.read_text(encoding="utf-8").splitlines()
    target = f"eval/score +{GAIN} above step 0 in at most {LIMIT:.0f} s"
    if (found := first_reached([json.loads(line) for line in lines], GAIN)) is None:
        return f"{run}: {target}: never reached"
    step, seconds = found
    verdict = "met" if seconds <= LIMIT else "missed"
    return f"{run}: {target}: reached at iteration {step} after {seconds:.0f} s: {verdict}"
