"""How a stage ended and which state became the model (`<stage>/outcome.json`), and the alarms on the way."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from rlhf_core.data.io import write_json
from rlhf_core.runs.stored import parse_record

FILE = "outcome.json"
ALARMS = {
    "alarm/entropy": "entropy fell far below that of the first batch",
    "alarm/length": "responses became much shorter or longer than in the first batch",
    "alarm/diversity": "responses became far more alike than in the first batch",
    "alarm/kl": "drift from the reference jumped within one iteration",
}
"""What each alarm says when its metric is 1."""


@dataclass(frozen=True)
class Outcome:
    """How training ended.

    Attributes:
        reason: why, as a clause.
        early: True when a guard ended it before its iterations were done.
        step: iterations done.
        kept: the iteration after which the model had the weights that were saved.
        measured: the step whose held-out measurement is that of these weights.
    """

    reason: str
    early: bool
    step: int
    kept: int
    measured: int

    @property
    def sentence(self) -> str:
        """The outcome in words: `Training ended at step 6: …. The model is that of step 4.`"""
        said = f"Training ended at step {self.step}: {self.reason}."
        return said if self.kept == self.step else f"{said} The model is that of step {self.kept}."


def write_outcome(stage: Path, outcome: Outcome) -> None:
    """Write `outcome.json` into the folder of a stage."""
    write_json(stage / FILE, asdict(outcome))


def parse_outcome(content: dict[str, Any], where: Path) -> Outcome:
    """Return the outcome in the content of `outcome.json`.

    Raises:
        RunError: a field is missing.
    """
    return parse_record(Outcome, content, where, "Run the stage again")


def alarms_in(metrics: pd.DataFrame) -> list[str]:
    """Return what the alarms of a stage's metrics say, each with the first step at which it went off."""
    said = []
    for name, words in ALARMS.items():
        steps = metrics.loc[metrics[name] > 0, "step"] if name in metrics else []
        if len(steps):
            said.append(f"Alarm at step {min(steps)}: {words}.")
    return said
