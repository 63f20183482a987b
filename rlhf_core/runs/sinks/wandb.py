"""Weights & Biases: a run of its own for each stage, in one group for the whole run. Offline with WANDB_MODE=offline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from rlhf_core.runs.sinks.sink import Tracked, tracker_module


class WandbSink:
    """Logs with our steps; what W&B keeps on this machine lies in the stage's folder."""

    def __init__(self, tracked: Tracked, id: str = "") -> None:
        wandb: Any = tracker_module("wandb")
        self.id = id or uuid4().hex
        tracked.folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=tracked.project,
            name=tracked.name,
            group=tracked.run,
            job_type=tracked.stage,
            id=self.id,
            resume="allow",
            reinit="create_new",  # members of an ensemble each have a run at the same time
            dir=str(tracked.folder),
            settings=wandb.Settings(console="off", silent=True),
        )

    def log(self, step: int, time: float, metrics: Mapping[str, float]) -> None:
        """Log one row."""
        self._run.log(dict(metrics) | {"_timestamp": time}, step=step)

    def close(self) -> None:
        """Send what is left."""
        self._run.finish()
