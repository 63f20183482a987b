"""What the Tasks page says of the tasks that are stored: how far each is, who judged, and what people were told."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from dashboard.services import wording
from dashboard.services.access import MANAGE
from dashboard.services.addresses import page_address
from dashboard.services.settings import Settings
from dashboard.services.voting import has_store, open_store, own_tasks
from rlhf_core.errors import VoteError
from rlhf_core.feedback.records import InstructionVersion, TaskInfo, TaskProgress
from rlhf_core.judging import Exported, export_task

FORMS = {"pairwise": "pairs", "ranking": "rankings"}
LONGEST_NUMBER = 9  # digits of what a database still takes for a number
OPEN, PAUSED, CLOSED, DRAFT = "open", "paused", "closed", "draft"


@dataclass(frozen=True)
class StoredTask:
    """A stored task; `run` names the run whose own pairs it is, if any."""

    info: TaskInfo
    run: str | None

    @property
    def goal(self) -> int:
        """How many verdicts make it complete; where everybody judges everything, of the labellers there are so far."""
        return self.info.items * self.info.labellers if self.info.places is None else self.info.places

    @property
    def share(self) -> float:
        """How much of `goal` is reached, 0 … 1."""
        return min(self.info.judged / self.goal, 1.0) if self.goal else 0.0


@dataclass(frozen=True)
class Export:
    """A file to take away, and what is not in it."""

    content: bytes
    done: Exported


def stored_tasks(settings: Settings) -> list[StoredTask]:
    """Return all tasks, newest first; for owners."""
    settings.visitor.require(MANAGE)
    if not has_store(settings):
        return []
    tasks = open_store(settings.votes).tasks()
    own = own_tasks(settings, tasks)
    return [StoredTask(task, own[task.id].label if task.id in own else None) for task in reversed(tasks)]


def stored_task(settings: Settings, number: str) -> StoredTask:
    """Return the task of a number as it stands in the address.

    Raises:
        VoteError: there is none.
        AccessError: not an owner.
    """
    settings.visitor.require(MANAGE)
    if not number.isdecimal() or len(number) > LONGEST_NUMBER or not has_store(settings):
        raise VoteError("no such task", value=number, remedy="Choose one of the tasks listed")
    info = open_store(settings.votes).task(int(number))
    run = own_tasks(settings, [info]).get(info.id)
    return StoredTask(info, run.label if run else None)


def makeup(task: StoredTask) -> str:
    """Say what is compared and how: `pairs of base and tuned · overall · 36 items · overlap 2`."""
    info = task.info
    names = wording.listed(info.contenders)
    more = [f"{wording.count(info.golds, 'gold item')}"] if info.golds else []
    more += [f"a repeat after every {info.repeat_every}"] if info.repeat_every else []
    overlap = "everybody judges everything" if info.overlap is None else f"overlap {info.overlap}"
    parts = (
        f"{FORMS[info.form]} of {names}",
        ", ".join(info.criteria),
        wording.count(info.items, "item"),
        overlap,
        *more,
    )
    return " · ".join(parts)


def progress_words(task: StoredTask) -> str:
    """Say how far a task is: `84 of 144 verdicts, 4 labellers`."""
    if not task.info.labellers:
        return "Nobody has judged yet."
    people = wording.count(task.info.labellers, "labeller")
    so_far = " so far" if task.info.overlap is None else ""
    return f"{task.info.judged:,} of {wording.count(task.goal, 'verdict')}, {people}{so_far}."


def labeller_rows(progress: TaskProgress) -> pd.DataFrame:
    """Return who judged how much, as it is shown; simulated votes only where there are some."""
    frame = pd.DataFrame(
        {
            "Labeller": one.labeller,
            "Items": one.judged,
            "Gold items": one.golds,
            "Repeats": one.repeats,
            "Of these simulated": one.simulated,
            "Last vote (UTC)": wording.moment(one.last),
        }
        for one in progress.labellers
    )
    simulated = any(one.simulated for one in progress.labellers)
    return frame if simulated or frame.empty else frame.drop(columns="Of these simulated")


def depth_rows(progress: TaskProgress) -> pd.DataFrame:
    """Return how many items have 0, 1, 2 … votes."""
    counts = progress.items_by_votes
    return pd.DataFrame({"Votes": list(counts), "Items with so many": list(counts.values())})


def changes(older: str, newer: str) -> str:
    """Return what changed between two texts, as a unified diff of their lines."""
    lines = difflib.unified_diff(older.splitlines(), newer.splitlines(), "before", "after", lineterm="", n=2)
    return "\n".join(list(lines)[2:])


def version_label(number: int, version: InstructionVersion) -> str:
    """Name a version: `2 · 2026-11-22 04:51 · 31 votes`."""
    return f"{number} · {wording.moment(version.created_at)} · {wording.count(version.votes, 'vote')}"


def judge_address(url: str | None, task: int) -> str:
    """Return where the task is judged, `url` being where this page is seen: what an owner sends to labellers."""
    return page_address(url, "judge", task=str(task))


def export(settings: Settings, task: int, form: str, method: str, criterion: str) -> Export:
    """Return what `rlhf task export` writes; raises what `judging.export_task` raises, and AccessError."""
    settings.visitor.require(MANAGE)
    with TemporaryDirectory() as folder:
        out = Path(folder) / "export.jsonl"
        done = export_task(settings.votes, task, form, out, method, criterion)
        return Export(out.read_bytes(), done)


def left_out_words(done: Exported) -> str:
    """Say what is not in an export."""
    undecided = f"{wording.count(done.undecided, 'item')} on which votes give no order"
    return f"Left out: {undecided}, {done.without_votes} without votes; gold items, repeats and simulated votes always."
