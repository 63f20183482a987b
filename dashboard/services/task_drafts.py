"""A task that is being made: checked by what `rlhf task create` checks it with, and not stored before it is confirmed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from pydantic import ValidationError

from dashboard.services import wording
from dashboard.services.access import MANAGE
from dashboard.services.catalogue import list_entries
from dashboard.services.settings import Settings
from dashboard.services.voting import has_store, open_store
from rlhf_core.config.anchors import anchor_paths
from rlhf_core.config.files import explain
from rlhf_core.config.task import TaskConfig
from rlhf_core.data.io import read_jsonl, write_text
from rlhf_core.data.records import ContenderCompletion
from rlhf_core.errors import DataError
from rlhf_core.feedback.matching import LeftOut
from rlhf_core.feedback.records import TaskInfo
from rlhf_core.feedback.tasks import TaskSpec
from rlhf_core.judging import first_state, plan_task

CRITERIA = ("overall", "helpful", "honest", "harmless")
INSTRUCTIONS = "instructions.md"
OUR_WORDS = {
    ("name", "string_pattern_mismatch"): "Give a name of letters, digits, dots, dashes and underscores.",
    ("contenders", "too_short"): "Choose the contenders that are compared: two or more.",
    ("criteria", "too_short"): "Choose at least one criterion.",
    ("criteria", "value_error"): "Criteria need different names, none of them blank.",
}
WHY = {
    "category": "of another category",
    "unanswered": "answered only by {names}",
    "alike": "answered alike by {names}",
    "not drawn": "not drawn",
}


@dataclass(frozen=True)
class Draft:
    """A task file as it is being written: its settings, and the files that it names and brings along."""

    settings: Mapping[str, Any]
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Checked:
    """What became of a draft: the task, or what is wrong with which setting."""

    draft: Draft
    task: TaskSpec | None
    problems: Mapping[str, str]


@dataclass(frozen=True)
class Workload:
    """What a task asks of people: `votes` in all, or of each labeller where everybody judges everything."""

    prompts: int
    items: int
    comparisons: int
    votes: int
    each: bool
    seconds: float | None
    past: int


def check(draft: Draft) -> Checked:
    """Return the task of a draft, or the problems by the setting they belong to."""
    with TemporaryDirectory() as name:
        folder = Path(name).resolve()
        for file, content in draft.files.items():
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_bytes(content)
        settings = dict(draft.settings)
        anchor_paths(settings, folder, TaskConfig.path_keys, ())
        try:
            config = TaskConfig.model_validate(settings)
        except ValidationError as error:
            return Checked(draft, None, _problems(error))
        try:
            return Checked(draft, plan_task(config), {})
        except DataError as error:
            return Checked(draft, None, {_culprit(config): str(error).replace(f"{folder}/", "")})


def as_yaml(draft: Draft) -> str:
    """Return the draft as a file for `rlhf task create`."""
    return yaml.safe_dump(dict(draft.settings), sort_keys=False, allow_unicode=True)


def bundle(draft: Draft) -> bytes:
    """Return a zip archive of the task file and the files it brings along: `rlhf task create NAME.yaml` makes the same task."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{draft.settings['name']}.yaml", as_yaml(draft))
        for name, content in draft.files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def create(settings: Settings, spec: TaskSpec) -> int:
    """Store a task, open unless completions name their author, and return its number; for owners."""
    settings.visitor.require(MANAGE)
    return open_store(settings.votes).ensure_task(spec, first_state(spec))


def stored_already(settings: Settings, spec: TaskSpec) -> TaskInfo | None:
    """Return the task with the same content, where it is stored."""
    if not has_store(settings):
        return None
    store = open_store(settings.votes)
    task = store.find_task(spec)
    return None if task is None else store.task(task)


def workload(settings: Settings, spec: TaskSpec) -> Workload:
    """Return what a task asks of people, by the median reading time of past votes of its form."""
    times = open_store(settings.votes).reading_times(spec.design.form) if has_store(settings) else []
    items = [item for item in spec.items if item.gold is None]
    pairs = sum(len(item.completions) * (len(item.completions) - 1) // 2 for item in items)
    return Workload(
        prompts=len({item.prompt_id for item in items}),
        items=len(items),
        comparisons=pairs * len(spec.design.criteria),
        votes=len(items) * (spec.design.overlap or 1),
        each=spec.design.overlap is None,
        seconds=median(times) if times else None,
        past=len(times),
    )


def workload_words(work: Workload) -> str:
    """Say how many votes that is, and how long they take."""
    votes = wording.count(work.votes, "vote")
    asked = f"Each labeller gives {votes}" if work.each else f"In all {votes} are needed"
    if work.seconds is None:
        return f"{asked}. How long that takes shows once there are votes."
    took = f"{work.seconds:.0f} s, the median of {wording.count(work.past, 'past vote')}"
    return f"{asked}, about {_roughly(work.votes * work.seconds)} of reading (a vote took {took})."


def left_out_rows(left_out: tuple[LeftOut, ...]) -> list[dict[str, str]]:
    """Return which completions nobody will judge, and why, as a table."""
    return [
        {"Prompt": one.prompt_id, "Why": WHY[one.reason].format(names=wording.listed(one.contenders))}
        for one in left_out
    ]


def run_contenders(settings: Settings) -> dict[str, str]:
    """Return the completions files of all runs by what a person calls them: `quickstart · tuned`."""
    return {
        f"{entry.label} · {name}": str(entry.path / "completions" / f"{name}.jsonl")
        for entry in list_entries(settings)
        for name in entry.reader.contenders()
    }


def categories_of(files: tuple[str, ...]) -> list[str]:
    """Return the categories of the prompts in completions files; what cannot be read has none."""
    found: set[str] = set()
    for file in files:
        with suppress(DataError, OSError):
            found |= _categories(file, Path(file).stat().st_mtime_ns)
    return sorted(found - {""})


@lru_cache(maxsize=64)
def _categories(file: str, stamp: int) -> set[str]:
    del stamp  # part of the key only: a file that changes is read again
    return {row.category for row in read_jsonl(file, ContenderCompletion)}


def _roughly(seconds: float) -> str:
    """Minutes up to an hour and a half, then hours."""
    return f"{max(round(seconds / 60), 1)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _problems(error: ValidationError) -> dict[str, str]:
    """The first problem of each setting, in our words where there are some."""
    found: dict[str, str] = {}
    for problem in error.errors(include_url=False):
        field = str(problem["loc"][0])
        found.setdefault(field, OUR_WORDS.get((field, problem["type"]), explain(TaskConfig, problem)))
    return found


def _culprit(config: TaskConfig) -> str:
    """The setting without which there would be a task; else it is the contenders."""
    with TemporaryDirectory() as folder:
        write_text(Path(folder) / INSTRUCTIONS, "Choose.")
        neutral = {"gold": None, "categories": None, "prompts": None, "instructions": Path(folder) / INSTRUCTIONS}
        for name, value in neutral.items():
            with suppress(DataError):
                plan_task(config.model_copy(update={name: value}))
                return name
    return "contenders"
