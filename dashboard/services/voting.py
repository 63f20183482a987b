"""Votes: the store, the task of a run, human votes, and the simulated votes that a recorded run brings along."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd

from dashboard.services.catalogue import RunEntry, list_entries
from dashboard.services.settings import Settings
from rlhf_core.errors import DataError, RunError
from rlhf_core.feedback.frames import KINDS
from rlhf_core.feedback.records import TaskInfo
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import build_task
from rlhf_core.report.judged import read_simulated
from rlhf_core.runs.reader import RunReader

BASELINE, CONTENDER = "base", "tuned"


@dataclass(frozen=True)
class JudgingTask:
    """A task as labellers may know it."""

    id: int
    label: str
    form: str
    instructions: str


@lru_cache(maxsize=4)
def open_store(url: str) -> VoteStore:
    """Return the vote store at `url`, one per process."""
    return VoteStore(url)


def read_instructions(settings: Settings) -> str:
    """Return the labelling instructions (Markdown).

    Raises:
        DataError: there are none; nobody should vote without a shared meaning of "better".
    """
    try:
        return settings.instructions.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            "the labelling instructions cannot be read",
            where=settings.instructions,
            remedy="Write them there, or name another file in RLHF_INSTRUCTIONS",
        ) from error


def can_judge(entry: RunEntry) -> bool:
    """Say whether the run has completions of both contenders."""
    return {BASELINE, CONTENDER} <= set(entry.reader.contenders())


def open_task(settings: Settings, entry: RunEntry) -> int:
    """Return the id of the run's judging task, storing it on first use.

    Raises:
        RunError: the run lacks completions of one contender.
        DataError: no instructions, damaged completions, or no pair that differs.
    """
    if not can_judge(entry):
        raise RunError(
            "completions of both contenders are needed", where=entry.path, remedy="`rlhf generate` writes them"
        )
    stamps = tuple(file_stamp(entry.path / "completions" / f"{name}.jsonl") for name in (BASELINE, CONTENDER))
    return _task(settings.votes, entry.path, read_instructions(settings), stamps)


def task_of_run(settings: Settings, entry: RunEntry) -> JudgingTask:
    """Return the run's own pairs as a task; raises what `open_task` raises."""
    return _as_task(open_store(settings.votes).task(open_task(settings, entry)))


def made_tasks(settings: Settings) -> list[JudgingTask]:
    """Return the open tasks that are not some run's own pairs, newest first."""
    return [_as_task(task) for task in _made(settings) if task.state == "open"]


def result_tasks(settings: Settings) -> list[TaskInfo]:
    """Return the tasks with results of their own, newest first: made ones that have been open."""
    return [task for task in _made(settings) if task.state != "draft"]


def human_votes(settings: Settings, entry: RunEntry) -> pd.DataFrame:
    """Return the votes people gave on the items of this run's own task; empty while there is nothing to judge."""
    task = run_task(settings, entry)
    if task is None:
        return pd.DataFrame()
    votes = votes_of(settings.votes, task, open_store(settings.votes).log_size(task))
    return votes.loc[(votes["kind"] == "item") & ~votes["simulated"]].reset_index(drop=True)


def run_task(settings: Settings, entry: RunEntry) -> int | None:
    """Return the id of the run's own task; None while there is nothing to judge."""
    if not can_judge(entry) or not settings.instructions.is_file():
        return None
    return open_task(settings, entry)


@lru_cache(maxsize=8)
def votes_of(url: str, task_id: int, size: int) -> pd.DataFrame:
    """Return the votes in force on a task, gold items and repeats too; read once for each `size` of its log. Not to be changed."""
    del size  # part of the key only
    return open_store(url).votes(task_id, KINDS)


def simulated_votes(entry: RunEntry) -> pd.DataFrame:
    """Return the simulated votes a run brings along; empty for most runs. Raises what `read_simulated` raises."""
    return read_simulated(entry.path)


def simulation_rule(entry: RunEntry) -> str:
    """Return how the simulated votes were made (Markdown); empty when nothing says so."""
    path = entry.path / "votes_rule.md"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _made(settings: Settings) -> list[TaskInfo]:
    if "://" not in settings.votes and not Path(settings.votes).is_file():
        return []
    runs = {entry.path.name for entry in list_entries(settings)}
    return [task for task in reversed(open_store(settings.votes).tasks()) if task.run_name not in runs]


def _as_task(info: TaskInfo) -> JudgingTask:
    return JudgingTask(info.id, f"{info.run_name} ({info.id})", info.form, info.instructions)


@lru_cache(maxsize=64)
def _task(url: str, path: Path, instructions: str, stamps: tuple[tuple[int, int], ...]) -> int:
    del stamps  # part of the key only: new completions make a new task
    reader = RunReader(path)
    sides = reader.completions(BASELINE), reader.completions(CONTENDER)
    seed = int(reader.config().get("seed", 0))
    return open_store(url).ensure_task(build_task(reader.name, sides, instructions, seed))


def file_stamp(path: Path) -> tuple[int, int]:
    """Return what tells whether a file has changed: when it was written, and its size."""
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size
