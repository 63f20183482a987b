"""The trackers there are, and those that a run's configuration names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rlhf_core.runs.sinks.feed import Feed, say_on_terminal
from rlhf_core.runs.sinks.mlflow import MlflowSink
from rlhf_core.runs.sinks.sink import Sink, Tracked
from rlhf_core.runs.sinks.tensorboard import TensorBoardSink
from rlhf_core.runs.sinks.trackio import TrackioSink
from rlhf_core.runs.sinks.wandb import WandbSink

OPENERS: dict[str, Callable[[Tracked, str], Sink]] = {
    "tensorboard": TensorBoardSink,
    "trackio": TrackioSink,
    "wandb": WandbSink,
    "mlflow": MlflowSink,
}
"""Name in a configuration → what opens it for a stage, given the id it had before, or none."""


@dataclass(frozen=True)
class Trackers:
    """Where the rows of a run go besides its own files: the names in `OPENERS`, and what they file it under."""

    to: tuple[str, ...] = ()
    project: str = ""
    said: set[str] = field(default_factory=set, repr=False)
    """What was said of trackers that failed: the same is not said of every stage."""

    def feeds(self, run: Path, stage: Path) -> list[Feed]:
        """Return a feed for each tracker of one stage's rows."""
        tracked = Tracked(run.name, stage.relative_to(run).as_posix(), stage, self.project)
        return [Feed(name, partial(OPENERS[name], tracked), stage, self._say) for name in self.to]

    def _say(self, what: str) -> None:
        if what not in self.said:
            self.said.add(what)
            say_on_terminal(what)
