"""What a tracker has to offer to be logged to, and what it is told of a stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from rlhf_core.errors import RunError


@dataclass(frozen=True)
class Tracked:
    """A stage as trackers are told of it.

    Attributes:
        run: the run's name.
        stage: the stage's name, such as `sft`, or `reward/member-1`.
        folder: the stage's folder.
        project: what trackers file it under.
    """

    run: str
    stage: str
    folder: Path
    project: str

    @property
    def name(self) -> str:
        """What the tracked run is called: `quickstart/sft`. Steps begin anew with each stage, so each is one of its own."""
        return f"{self.run}/{self.stage}"


class Sink(Protocol):
    """A tracker while one stage logs to it. Whatever it raises ends what it is sent, never the training."""

    id: str
    """What the tracker finds the same run by when the stage goes on later."""

    def log(self, step: int, time: float, metrics: Mapping[str, float]) -> None:
        """Take one row; `time` in Unix seconds."""

    def close(self) -> None:
        """Send what is left; the stage has ended."""


def tracker_module(name: str, package: str = "") -> Any:
    """Import the library of a tracker.

    Raises:
        RunError: it is not installed; says the command that installs it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise RunError(f"not installed ({error})", remedy=f"`pip install {package or name}` adds it") from error
