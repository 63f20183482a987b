"""Votes: the store, the task of a run, human votes, and the simulated votes that a recorded run brings along."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd

from dashboard.services.access import JUDGE, READ
from dashboard.services.catalogue import RunEntry, find_entries
from dashboard.services.settings import Settings
from rlhf_core.errors import DataError, RunError
from rlhf_core.feedback.records import TaskInfo
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import build_task
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
    stamps = tuple(_stamp(entry.path / "completions" / f"{name}.jsonl") for name in (BASELINE, CONTENDER))
    return _task(settings.votes, entry.path, read_instructions(settings), stamps)


def task_of_run(settings: Settings, entry: RunEntry) -> JudgingTask:
    """Return the run's own pairs as a task; raises what `open_task` raises, and AccessError for a labeller."""
    settings.visitor.require(READ)
    return _as_task(open_store(settings.votes).task(open_task(settings, entry)))


def made_tasks(settings: Settings) -> list[JudgingTask]:
    """Return the open tasks that are not some run's own pairs, newest first. Labellers judge these and no others."""
    settings.visitor.require(JUDGE)
    if "://" not in settings.votes and not Path(settings.votes).is_file():
        return []
    runs = {entry.path.name for entry in find_entries(settings)}
    tasks = open_store(settings.votes).tasks()
    return [_as_task(task) for task in reversed(tasks) if task.state == "open" and task.run_name not in runs]


def human_votes(settings: Settings, entry: RunEntry) -> pd.DataFrame:
    """Return the votes people gave on this run; empty while there is nothing to judge.

    Raises:
        AccessError: a labeller asks.
    """
    settings.visitor.require(READ)
    votes = _stored(settings, entry)
    return votes.loc[~votes["simulated"].astype(bool)].reset_index(drop=True) if len(votes) else votes


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


def _stored(settings: Settings, entry: RunEntry) -> pd.DataFrame:
    if not can_judge(entry) or not settings.instructions.is_file():
        return pd.DataFrame()
    return open_store(settings.votes).votes(open_task(settings, entry))


@lru_cache(maxsize=64)
def _task(url: str, path: Path, instructions: str, stamps: tuple[tuple[int, int], ...]) -> int:
    del stamps  # part of the key only: new completions make a new task
    reader = RunReader(path)
    sides = reader.completions(BASELINE), reader.completions(CONTENDER)
    seed = int(reader.config().get("seed", 0))
    return open_store(url).ensure_task(build_task(reader.name, sides, instructions, seed))


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size
