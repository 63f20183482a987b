"""What `rlhf auto-judge` does: ask a model for its verdict on every pair, in both orders, and keep it apart from people's votes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from rlhf_core.config.endpoint import EndpointConfig
from rlhf_core.config.files import make_settings
from rlhf_core.data.io import write_json, write_jsonl
from rlhf_core.errors import ConfigError, DataError
from rlhf_core.evaluation.auto_judge import AutoVerdict, Pair, Shown, Side, pairs_of
from rlhf_core.evaluation.statistics import Estimate
from rlhf_core.feedback.collect import existing_store, find_own_task, own_task
from rlhf_core.feedback.store import VoteStore
from rlhf_core.report.auto_judges import auto_judges, folder_of_run, folder_of_task, shown_texts
from rlhf_core.report.judge_parts import AutoJudge
from rlhf_core.runs.reader import RunReader

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
KNOWN = "`rlhf auto-judge --help` lists the settings"
AS_A_JUDGE = {"temperature": 0.0, "max_tokens": 512}
"""How a judge is asked unless it is set otherwise."""
SIDES: tuple[Side, Side] = ("baseline", "contender")

Report = Callable[[int, int, str], None]


@dataclass(frozen=True)
class JudgeRequest:
    """What `rlhf auto-judge` was asked for. `target` is a run directory or the number of a task; None takes what is usual."""

    target: str
    endpoint: str
    model: str
    name: str | None = None
    votes: str | None = None
    instructions: Path | None = None
    criterion: str | None = None
    overrides: Sequence[str] = ()

    @property
    def judge(self) -> str:
        """The judge's name: the one it was given, or the model's in letters for file names."""
        name = self.name or re.sub(r"[^a-z0-9_-]+", "-", self.model.lower()).strip("-_")
        if not NAME.fullmatch(name):
            raise ConfigError("a judge's name is lower-case letters, digits, dashes and underscores", value=name)
        return name


@dataclass(frozen=True)
class _Target:
    """What is judged, by which instructions, and what people said of it."""

    what: str
    folder: Path
    pairs: Sequence[Pair]
    instructions: str
    criteria: tuple[str, ...]
    people: pd.DataFrame | None
    shown: Shown


def judge_automatically(request: JudgeRequest, report: Report) -> tuple[AutoJudge, Path]:
    """Ask for a verdict on every pair in both orders; return what is said and the file of the verdicts.

    `NAME.jsonl` has every answer, `NAME.json` beside it the figures.
    They lie in `evaluation/auto_judge` of the run, or for a task in `auto_judge/task-N` beside the vote database, which is
    only read. Repeated after an interruption it goes on.

    Raises:
        RunError, VoteError: no such run or task. ConfigError: a setting. DataError: nothing to judge.
        EndpointError: the endpoint does not answer.
    """
    from rlhf_core.endpoints.asking import ask_all
    from rlhf_core.endpoints.verdicts import INSTRUCTIONS, ask_for_verdict, read_verdict
    from rlhf_core.judging import read_instructions

    raw: dict[str, Any] = {"url": request.endpoint, "model": request.model} | AS_A_JUDGE
    endpoint, name = make_settings(EndpointConfig, raw, request.overrides, "--endpoint", KNOWN), request.judge
    if endpoint.system is not None:
        raise ConfigError("a judge's system prompt is its instructions", where="--set", value="system")
    target = _target(request)
    criterion = _criterion(request, target)
    given = read_instructions(request.instructions) if request.instructions else target.instructions
    instructions = given.strip() or INSTRUCTIONS
    asked: list[tuple[Pair, Side]] = [(pair, first) for pair in target.pairs for first in SIDES]
    replies = ask_all(endpoint, [ask_for_verdict(*one, instructions, criterion) for one in asked], report)
    readings = [read_verdict(first, reply.text) for (_, first), reply in zip(asked, replies, strict=True)]
    verdicts = [
        AutoVerdict(
            pair=pair.key, prompt_id=pair.prompt_id, category=pair.category, baseline=pair.baseline,
            contender=pair.contender, criterion=criterion, readings=readings[2 * n : 2 * n + 2],
        )
        for n, pair in enumerate(target.pairs)
    ]  # fmt: skip
    write_jsonl(target.folder / f"{name}.jsonl", verdicts)
    found = next(one for one in auto_judges(target.folder, target.people, target.shown) if one.name == name)
    said = sorted({reply.model for reply in replies if reply.model})
    how = {"url": endpoint.url, "model": endpoint.model, "answered_by": said, "parameters": endpoint.parameters}
    about = {
        "judge": name,
        "people": False,
        "judged": target.what,
        "criterion": criterion,
        "instructions": instructions,
    }
    written = {"written": datetime.now(UTC).isoformat(timespec="seconds")}
    write_json(target.folder / f"{name}.json", about | how | written | _figures(found))
    return found, target.folder / f"{name}.jsonl"


def _target(request: JudgeRequest) -> _Target:
    if request.target.isdecimal():
        votes = request.votes or "runs/votes.db"
        with closing(existing_store(votes)) as store:
            task = int(request.target)
            return _of_task(store, task, f"task {task}", folder_of_task(votes, task))
    return _of_run(RunReader(Path(request.target).resolve()), request.votes)


def _of_run(run: RunReader, votes: str | None) -> _Target:
    """The run's own pairs: as its own task shows them where that is stored, else as its completions lie there."""
    database, folder = votes or str(run.path.parent / "votes.db"), folder_of_run(run.path)
    if votes or Path(database).is_file():
        with closing(existing_store(database)) as store:
            if (task := find_own_task(store, run)) is not None:
                return _of_task(store, task, f"run {run.name}", folder)
    spec = own_task(run)
    items = {
        n: {
            "prompt_id": item.prompt_id,
            "prompt": item.prompt,
            "category": item.category,
            "texts": dict(item.completions),
        }
        for n, item in enumerate(spec.items)
    }
    pairs = pairs_of(items, spec.contenders)
    return _Target(f"run {run.name}", folder, pairs, "", spec.design.criteria, None, shown_texts(items))


def _of_task(store: VoteStore, task: int, what: str, folder: Path) -> _Target:
    info, items, votes = store.task(task), store.texts(task), store.votes(task)
    pairs = pairs_of(items, info.contenders)
    if not pairs:
        raise DataError("nothing to judge", where=what)
    people = votes.loc[~votes["simulated"].to_numpy(dtype=bool)]
    return _Target(what, folder, pairs, info.instructions, info.criteria, people, shown_texts(items))


def _criterion(request: JudgeRequest, target: _Target) -> str:
    chosen = request.criterion or target.criteria[0]
    if chosen not in target.criteria:
        remedy = f"Expected one of {', '.join(target.criteria)}"
        raise DataError("unknown criterion", where=target.what, value=chosen, remedy=remedy)
    return chosen


def _figures(found: AutoJudge) -> dict[str, Any]:
    """The figures as plain data: what the judge says, and how far it agrees with people."""
    return {
        "comparisons": [_plain(asdict(one) | _estimates(one)) for one in found.judged],
        "against_people": [_plain(asdict(one) | _estimates(one)) for one in found.people],
    }


def _estimates(record: Any) -> dict[str, Any]:
    return {name: value.as_json() for name, value in vars(record).items() if isinstance(value, Estimate)}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "scorer"}
