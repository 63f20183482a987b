"""The runs the dashboard can show: those under the run root, then the recorded one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dashboard.services.access import READ
from dashboard.services.settings import Settings
from rlhf_core.errors import RlhfError
from rlhf_core.runs.directory import OTHER, PRETRAIN
from rlhf_core.runs.reader import LOGGED_STAGES, RunReader, is_run, list_runs
from rlhf_core.visible import one_line

RESULT = Path("evaluation", "comparisons.json")
STAGE_NAMES = {
    "pretrain": "Pretraining",
    "sft": "SFT",
    "reward": "Reward model",
    "ppo": "PPO",
    "generate": "Completions",
    "evaluate": "Evaluation",
    OTHER: "Other training",
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
        return "Recorded run" if self.recorded else one_line(self.name)

    @property
    def reader(self) -> RunReader:
        """The run's reader, kept between calls so that only new lines are read."""
        return _reader(self.path)


def list_entries(settings: Settings) -> list[RunEntry]:
    """Return live runs, newest first, then the recorded run where there is one.

    Raises:
        AccessError: a labeller asks; a run's name and contenders are not for them.
    """
    settings.visitor.require(READ)
    return find_entries(settings)


def find_entries(settings: Settings) -> list[RunEntry]:
    """Return what `list_entries` returns, for the server's own use."""
    entries = [RunEntry(path.resolve()) for path in list_runs(settings.run_root)]
    recorded = settings.recorded_run
    return [*entries, RunEntry(recorded.resolve(), recorded=True)] if is_run(recorded) else entries


def first_choice(entries: list[RunEntry]) -> int:
    """Return which run to show first: the newest with a result to look at, or else the newest."""
    return next((n for n, entry in enumerate(entries) if (entry.path / RESULT).is_file()), 0)


def imported_from(entry: RunEntry) -> str:
    """Return what the curves of a run that was trained elsewhere were read from; empty for every other run."""
    try:
        return entry.reader.status().imported
    except RlhfError:
        return ""


def newest_stage(entry: RunEntry) -> str:
    """Return the latest stage that has logged anything; the first stage of a run that has not."""
    logged = [stage for stage in LOGGED_STAGES if (entry.path / stage / "metrics.jsonl").is_file()]
    return logged[-1] if logged else shown_stages([entry])[0]


def shown_stages(entries: Sequence[RunEntry]) -> list[str]:
    """Return the stages whose curves can be asked for: pretraining and other training only where one of the runs has it."""
    rare = [stage for stage in (PRETRAIN, OTHER) if not any((entry.path / stage).is_dir() for entry in entries)]
    return [stage for stage in LOGGED_STAGES if stage not in rare]


@lru_cache(maxsize=64)
def _reader(path: Path) -> RunReader:
    return RunReader(path)
