"""TensorBoard: an event file in the stage's folder. `tensorboard --logdir runs` shows every stage of every run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlhf_core.runs.sinks.sink import Tracked, tracker_module

FOLDER = "tensorboard"


class TensorBoardSink:
    """Writes each row as one event of plain scalars, which hold 32 bits, and flushes it."""

    def __init__(self, tracked: Tracked, id: str = "") -> None:
        self.id = id
        writers: Any = tracker_module("tensorboard.summary.writer.event_file_writer", "tensorboard")
        self._event: Any = tracker_module("tensorboard.compat.proto.event_pb2", "tensorboard").Event
        self._summary: Any = tracker_module("tensorboard.compat.proto.summary_pb2", "tensorboard").Summary
        self._writer = writers.EventFileWriter(str(tracked.folder / FOLDER))

    def log(self, step: int, time: float, metrics: Mapping[str, float]) -> None:
        """Write one row."""
        pairs = [self._summary.Value(tag=name, simple_value=value) for name, value in metrics.items()]
        self._writer.add_event(self._event(step=step, wall_time=time, summary=self._summary(value=pairs)))
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()
