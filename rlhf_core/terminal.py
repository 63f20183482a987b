"""What the command shows in a terminal: progress bars with time left, tables of runs and comparisons."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from rlhf_core.config import PipelineConfig
from rlhf_core.errors import PeopleError, RunError, VoteError
from rlhf_core.feedback.records import Invitation, TaskInfo
from rlhf_core.process import settle_in
from rlhf_core.report.estimate_words import COST, basis_words, roughly, summary
from rlhf_core.report.refusals import find_refusals
from rlhf_core.runs.directory import PRETRAIN, STAGES
from rlhf_core.runs.estimate import estimate
from rlhf_core.runs.past import past_stages
from rlhf_core.runs.reader import RunReader, list_runs
from rlhf_core.visible import one_line

LINE_EVERY = 10  # without a terminal: one line per this many steps


def run_with_progress(run: Callable[[Any], Path], stages: Sequence[str]) -> str:
    """Call `run` with a listener that shows progress on the terminal; return a closing line."""
    prepare_libraries()
    signal.signal(signal.SIGTERM, _stop)
    console = Console()
    listener = _Bars(console) if console.is_terminal else _Lines(console)
    with listener:
        path = run(listener)
    return f"{path}: {', '.join(stages)} complete. Next: rlhf dashboard --run-root {path.parent}"


def prepare_libraries() -> None:
    """Set up threads and memory, and keep other libraries' bars and advice off the terminal; errors still speak."""
    settle_in()
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|peft)\.")
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def print_runs(root: Path) -> None:
    """Print one row per run with the state of every stage."""
    found = list_runs(root)
    if not found:
        raise RunError("no runs yet", where=root, remedy="`rlhf pipeline configs/quickstart.yaml` makes one")
    statuses = {path.name: RunReader(path).status() for path in found}
    pretrained = any(stage.name == PRETRAIN for status in statuses.values() for stage in status.stages)
    columns = (PRETRAIN, *STAGES) if pretrained else STAGES
    rows = []
    for name, status in statuses.items():
        cells = {stage.name: _stage_cell(stage) for stage in status.stages}
        rows.append((name, status.state, *(cells.get(column, "–") for column in columns)))
    _print_table(("run", "state", *columns), rows)
    for path in found:
        if (origin := RunReader(path).lineage()) is not None:
            _print_line(f"{path.name}: round {origin.round}, from {origin.brief}")


def print_estimate(config: PipelineConfig) -> None:
    """Print what a pipeline would take of this machine, stage by stage, and what that rests on."""
    made = estimate(config, past_stages(list_runs(config.run_root)))
    rows = [(one.stage, roughly(one), basis_words(one)) for one in made.stages]
    _print_table(("stage", "time", "rests on"), rows)
    _print_line(summary(made))
    _print_line(COST)


def print_tasks(tasks: Sequence[TaskInfo]) -> None:
    """Print one row per judging task with its state and progress."""
    if not tasks:
        raise VoteError("no tasks yet", remedy="`rlhf task create` makes one")
    rows = []
    for task in tasks:
        done = "–" if task.places is None else f"{task.judged} of {task.places}"
        numbers = map(str, (task.items, task.votes, task.labellers))
        rows.append((str(task.id), task.run_name, task.state, task.form, *numbers, done))
    _print_table(("task", "name", "state", "form", "items", "votes", "labellers", "done"), rows)


def print_task(task: TaskInfo) -> None:
    """Print what a task is, how far it is, and the completions that name their author, each with its prompt."""
    print_tasks([task])
    _print_line(f"contenders: {', '.join(task.contenders)}")
    _print_line(f"criteria: {', '.join(task.criteria)}; instructions {task.instruction_version}")
    _print_line(f"left out: {task.identical} items with equal texts, {task.unmatched} completions not all answered")
    if task.leaks:
        _print_line(f"{len(task.leaks)} completions name their author:")
    for leak in task.leaks:
        _print_line(f"  {leak['prompt_id']}  {leak['contender']}  {leak['phrase']!r}")


def print_people(people: Sequence[Invitation]) -> None:
    """Print one row per person: as what they were invited, and whether that still holds."""
    if not people:
        raise PeopleError(
            "nobody was invited yet", remedy="`rlhf people invite NAME --role owner` makes the first link"
        )
    table = Table("name", "role", "state", "until (UTC)", "signed in", box=None)
    for one in people:
        table.add_row(one.name, one.role, one.state, one.expires[:16].replace("T", " "), str(one.sessions))
    Console(markup=False, emoji=False).print(table)


def print_comparisons(run: RunReader, baseline: str, contender: str) -> None:
    """Print the paired differences of two contenders over all categories, and what they decline in a test of refusals."""
    content = run.evaluation("comparisons")
    if content is None:
        raise RunError("has no comparisons yet", where=run.path, remedy="Run `rlhf evaluate CONFIG`")
    rows = [r for r in content["rows"] if (r["baseline"], r["contender"]) == (baseline, contender)]
    if not rows:
        known = sorted({(r["baseline"], r["contender"]) for r in content["rows"]})
        raise RunError("no such comparison", where=run.path, value=(baseline, contender), remedy=f"There are: {known}")
    cells = []
    for r in rows:
        means = (f"{r['mean_baseline']:.3f}", f"{r['mean_contender']:.3f}")
        known = r["low"] is not None  # a single prompt has no interval
        interval = f"{r['difference']:+.3f}" + (f" [{r['low']:+.3f}, {r['high']:+.3f}]" if known else "")
        cells.append((r["scorer"], r["measure"], r["category"] or "all", str(r["n"]), *means, interval, r["unit"]))
    _print_table(("scorer", "measure", "category", "n", baseline, contender, "difference [95%]", "unit"), cells)
    for name, best in (content.get("best_of") or {}).items():
        if name in (baseline, contender):
            limit = f"{name}: at most {best['kl_bound']:.2f} {best['unit']} from {best['base']}."
            _print_line(f"{limit} {best['source']}")
    _print_refusals(run, (baseline, contender))


def _print_refusals(run: RunReader, contenders: tuple[str, str]) -> None:
    refusals = find_refusals(run)
    if refusals is None:
        return
    rows = [row for row in refusals.rows if row.contender in contenders]
    cells = [(row.category, str(row.n), row.contender, row.share, row.change) for row in rows]
    _print_table(("prompts", "n", "contender", "declined [95%]", "change against base [95%]"), cells)
    _print_line(refusals.blind_spots)


def _print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print cells as text: what is stored in them cannot act on the terminal."""
    table = Table(*map(one_line, columns), box=None)
    for cells in rows:
        table.add_row(*map(one_line, cells))
    Console(markup=False, emoji=False).print(table)


def _print_line(text: str) -> None:
    Console(markup=False, emoji=False, highlight=False).print(one_line(text))


def _stage_cell(stage: Any) -> str:
    part = f" {stage.step}/{stage.total}" if stage.state in ("running", "interrupted") and stage.total else ""
    return stage.state + part


def _stop(number: int, frame: object) -> None:
    raise KeyboardInterrupt


class _Bars:
    """Progress bars, one per stage, with time spent and time left."""

    def __init__(self, console: Console) -> None:
        self.bars = Progress(
            TextColumn("{task.description:9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"),
            TimeRemainingColumn(), TextColumn("{task.fields[message]}"), console=console,
        )  # fmt: skip
        self.tasks: dict[str, Any] = {}

    def __enter__(self) -> _Bars:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def stage_skipped(self, stage: str) -> None:
        self.bars.console.print(f"{stage:9} complete with the same inputs: skipped")

    def stage_started(self, stage: str) -> None:
        self.tasks[stage] = self.bars.add_task(stage, total=None, message="loading")

    def progress(self, stage: str, step: int, total: int, message: str) -> None:
        self.bars.update(self.tasks[stage], completed=step, total=total, message=message)

    def stage_finished(self, stage: str, seconds: float) -> None:
        task = self.bars.tasks[self.tasks[stage]]
        self.bars.update(task.id, completed=task.total or 1, total=task.total or 1)


class _Lines:
    """One line now and then, for logs."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def stage_skipped(self, stage: str) -> None:
        self.console.print(f"{stage}: complete with the same inputs: skipped", highlight=False)

    def stage_started(self, stage: str) -> None:
        self.console.print(f"{stage}: started", highlight=False)

    def progress(self, stage: str, step: int, total: int, message: str) -> None:
        if step % LINE_EVERY == 0 or step == total:
            self.console.print(f"{stage}: {step}/{total} {message}", highlight=False, markup=False)

    def stage_finished(self, stage: str, seconds: float) -> None:
        self.console.print(f"{stage}: done in {seconds:.0f} s", highlight=False)
