"""Trackio: a run of its own for each stage, in one group for the whole run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlhf_core.runs.sinks.sink import Tracked, tracker_module


class TrackioSink:
    """Logs to the project where Trackio keeps it: on this machine, unless its own settings say otherwise."""

    def __init__(self, tracked: Tracked, id: str = "") -> None:
        trackio: Any = tracker_module("trackio")
        self._run = trackio.init(
            project=tracked.project,
            name=id or tracked.name,
            group=tracked.run,
            resume="must" if id else "never",
            auto_log_gpu=False,
            auto_log_cpu=False,
            embed=False,
        )
        self.id = str(self._run.name)

    def log(self, step: int, time: float, metrics: Mapping[str, float]) -> None:
        """Log one row; Trackio stamps it with its own clock."""
        self._run.log(dict(metrics), step=step)

    def close(self) -> None:
        """Send what is left."""
        self._run.finish()
