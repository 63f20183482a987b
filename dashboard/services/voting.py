"""Votes: the store, the task of a run, human votes, and the simulated votes that a recorded run brings along."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd

from dashboard.services.access import JUDGE, READ
from dashboard.services.catalogue import RunEntry, find_entries
from dashboard.services.settings import Settings
from rlhf_core.errors import DataError
from rlhf_core.feedback.collect import find_own_task, has_own_task, own_task
from rlhf_core.feedback.frames import KINDS
from rlhf_core.feedback.records import TaskInfo
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import TaskSpec
from rlhf_core.report.judged import read_simulated
from rlhf_core.runs.reader import RunReader
from rlhf_core.visible import one_line


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
    if entry.reader.lineage() is not None and (made := own_task_id(settings, entry)) is not None:
        return made
    return _stored_task(settings.votes, entry.path, read_instructions(settings), _stamps(entry))


def own_task_id(settings: Settings, entry: RunEntry) -> int | None:
    """Return the id of the run's own task; None while nothing is stored or there is nothing to judge."""
    if not has_store(settings) or not can_judge(entry):
        return None
    return find_own_task(
        open_store(settings.votes), entry.reader, lambda reader: _own_task(reader.path, _stamps(entry))
    )


def has_store(settings: Settings) -> bool:
    """Say whether there is a vote store to look into."""
    return "://" in settings.votes or Path(settings.votes).is_file()


def task_of_run(settings: Settings, entry: RunEntry) -> JudgingTask:
    """Return the run's own pairs as a task; raises what `open_task` raises, and AccessError for a labeller."""
    settings.visitor.require(READ)
    return _as_task(open_store(settings.votes).task(open_task(settings, entry)))


def own_tasks(settings: Settings, tasks: Sequence[TaskInfo]) -> dict[int, RunEntry]:
    """Return which of the tasks are some run's own pairs, and whose.

    A run whose completions are damaged has none: its own pages say what is wrong.
    """
    names = {task.run_name for task in tasks}
    found: dict[int, RunEntry] = {}
    for entry in find_entries(settings):
        if entry.name in names:
            with suppress(DataError):
                found |= {task: entry for task in [own_task_id(settings, entry)] if task is not None}
    return found


def made_tasks(settings: Settings, asked: str | None = None) -> list[JudgingTask]:
    """Return the open tasks that are not some run's own pairs, newest first; and the one `asked` for by its number.

    Labellers judge made tasks and no others: a run's own pairs open themselves, under the run's name.
    """
    settings.visitor.require(JUDGE)
    asked = asked if settings.visitor.may(READ) else None
    return [
        _as_task(task) for task, own in _tasks(settings) if task.state == "open" and (not own or str(task.id) == asked)
    ]


def result_tasks(settings: Settings) -> list[TaskInfo]:
    """Return the tasks with results of their own, newest first: made ones that have been open. Not for labellers."""
    settings.visitor.require(READ)
    return [task for task, own in _tasks(settings) if not own and task.state != "draft"]


def human_votes(settings: Settings, entry: RunEntry) -> pd.DataFrame:
    """Return the votes people gave on the items of this run's own task; empty while there are none. Not for labellers."""
    settings.visitor.require(READ)
    task = own_task_id(settings, entry)
    if task is None:
        return pd.DataFrame()
    votes = votes_of(settings.votes, task, open_store(settings.votes).log_size(task))
    return votes.loc[(votes["kind"] == "item") & ~votes["simulated"]].reset_index(drop=True)


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


def _tasks(settings: Settings) -> list[tuple[TaskInfo, bool]]:
    """All tasks, newest first, each with whether it is some run's own."""
    if not has_store(settings):
        return []
    tasks = open_store(settings.votes).tasks()
    own = own_tasks(settings, tasks)
    return [(task, task.id in own) for task in reversed(tasks)]


def _as_task(info: TaskInfo) -> JudgingTask:
    return JudgingTask(info.id, f"{one_line(info.run_name)} ({info.id})", info.form, info.instructions)


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
    return tuple(file_stamp(folder / f"{name}.jsonl") for name in entry.reader.contenders())


def file_stamp(path: Path) -> tuple[int, int]:
    """Return what tells whether a file has changed: when it was written, and its size."""
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size
