"""Votes: the store, the task of a run, human votes, and the simulated votes that a recorded run brings along."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd

from dashboard.services.catalogue import RunEntry, list_entries
from dashboard.services.settings import Settings
from rlhf_core.errors import DataError, RunError
from rlhf_core.feedback.collect import has_own_task, own_task
from rlhf_core.feedback.records import TaskInfo
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import TaskSpec
from rlhf_core.runs.reader import RunReader


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
    return has_own_task(entry.reader)


def open_task(settings: Settings, entry: RunEntry) -> int:
    """Return the id of the run's judging task, storing it on first use.

    Raises:
        RunError: the run lacks completions of one contender.
        DataError: no instructions, damaged completions, or no pair that differs.
    """
    return _stored_task(settings.votes, entry.path, read_instructions(settings), _stamps(entry))


def own_task_id(settings: Settings, entry: RunEntry) -> int | None:
    """Return the id of the run's own task; None while nothing is stored or there is nothing to judge."""
    if not has_store(settings) or not can_judge(entry):
        return None
    return open_store(settings.votes).find_task(_own_task(entry.path, _stamps(entry)))


def has_store(settings: Settings) -> bool:
    """Say whether there is a vote store to look into."""
    return "://" in settings.votes or Path(settings.votes).is_file()


def task_of_run(settings: Settings, entry: RunEntry) -> JudgingTask:
    """Return the run's own pairs as a task; raises what `open_task` raises."""
    return _as_task(open_store(settings.votes).task(open_task(settings, entry)))


def own_tasks(settings: Settings, tasks: Sequence[TaskInfo]) -> dict[int, RunEntry]:
    """Return which of the tasks are some run's own pairs, and whose.

    A run whose completions are damaged has none: its own pages say what is wrong.
    """
    names = {task.run_name for task in tasks}
    found: dict[int, RunEntry] = {}
    for entry in list_entries(settings):
        if entry.name in names:
            with suppress(DataError):
                found |= {task: entry for task in [own_task_id(settings, entry)] if task is not None}
    return found


def made_tasks(settings: Settings, asked: str | None = None) -> list[JudgingTask]:
    """Return the open tasks that are not some run's own pairs, newest first; and the one `asked` for by its number."""
    if not has_store(settings):
        return []
    tasks = open_store(settings.votes).tasks()
    own = own_tasks(settings, tasks)
    return [
        _as_task(task)
        for task in reversed(tasks)
        if task.state == "open" and (task.id not in own or str(task.id) == asked)
    ]


def human_votes(settings: Settings, entry: RunEntry) -> pd.DataFrame:
    """Return the votes people gave on this run; empty while there are none."""
    task = own_task_id(settings, entry)
    if task is None:
        return pd.DataFrame()
    votes = open_store(settings.votes).votes(task)
    return votes.loc[~votes["simulated"].astype(bool)].reset_index(drop=True)


def simulated_votes(entry: RunEntry) -> pd.DataFrame:
    """Return the simulated votes a run brings along in `votes.jsonl`; empty for most runs.

    Raises:
        RunError: the file is damaged, or holds votes that are not marked as simulated.
    """
    path = entry.path / "votes.jsonl"
    if not path.is_file():
        return pd.DataFrame()
    try:
        frame = pd.DataFrame(
            [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
        )
    except (ValueError, UnicodeDecodeError) as error:
        raise RunError(f"damaged votes: {error}", where=path) from error
    if len(frame) and not ("simulated" in frame and all(mark is True for mark in frame["simulated"].tolist())):
        raise RunError("a vote is not marked as simulated", where=path, remedy="Human votes belong in the vote store")
    return frame


def simulation_rule(entry: RunEntry) -> str:
    """Return how the simulated votes were made (Markdown); empty when nothing says so."""
    path = entry.path / "votes_rule.md"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _as_task(info: TaskInfo) -> JudgingTask:
    return JudgingTask(info.id, f"{info.run_name} ({info.id})", info.form, info.instructions)


@lru_cache(maxsize=64)
def _stored_task(url: str, path: Path, instructions: str, stamps: tuple[tuple[int, int], ...]) -> int:
    del stamps  # part of the key only, here and below: new completions make a new task
    return open_store(url).ensure_task(own_task(RunReader(path), instructions))


@lru_cache(maxsize=64)
def _own_task(path: Path, stamps: tuple[tuple[int, int], ...]) -> TaskSpec:
    del stamps
    return own_task(RunReader(path))


def _stamps(entry: RunEntry) -> tuple[tuple[int, int], ...]:
    folder = entry.path / "completions"
    return tuple(_stamp(folder / f"{name}.jsonl") for name in entry.reader.contenders())


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size
