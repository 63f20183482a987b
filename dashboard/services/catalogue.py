"""The runs the dashboard can show: those under the run root, then the recorded one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dashboard.services.settings import Settings
from rlhf_core.runs.reader import RunReader, is_run, list_runs

STAGE_NAMES = {
    "sft": "SFT",
    "reward": "Reward model",
    "ppo": "PPO",
    "generate": "Completions",
    "evaluate": "Evaluation",
}


@dataclass(frozen=True)
class RunEntry:
    """One run to choose. `label` says in words whether it is recorded."""

    path: Path
    recorded: bool = False

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.path.name

    @property
    def label(self) -> str:
        """What a person sees in a list of runs."""
        return "Recorded run" if self.recorded else self.name

    @property
    def reader(self) -> RunReader:
        """The run's reader, kept between calls so that only new lines are read."""
        return _reader(self.path)


def list_entries(settings: Settings) -> list[RunEntry]:
    """Return live runs, newest first, then the recorded run where there is one."""
    entries = [RunEntry(path.resolve()) for path in list_runs(settings.run_root)]
    recorded = settings.recorded_run
    return [*entries, RunEntry(recorded.resolve(), recorded=True)] if is_run(recorded) else entries


@lru_cache(maxsize=64)
def _reader(path: Path) -> RunReader:
    return RunReader(path)
