"""Read run directories while they are being written: status, metrics, samples, completions, evaluation."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import yaml

from rlhf_core.data.contenders import in_order
from rlhf_core.data.io import parse_json, read_jsonl
from rlhf_core.data.records import ContenderCompletion
from rlhf_core.errors import RunError
from rlhf_core.passwords import without_password
from rlhf_core.runs import lineage
from rlhf_core.runs.columns import MetricsTail
from rlhf_core.runs.directory import OTHER, PRETRAIN, STAGES, process_alive
from rlhf_core.runs.kept import KeptFiles
from rlhf_core.runs.lineage import Lineage
from rlhf_core.runs.outcome import FILE, Outcome, parse_outcome
from rlhf_core.runs.tail import JsonlTail

T = TypeVar("T")
STOPPED = ("failed", "interrupted", "paused")
"""States of a run or a stage that is not complete and not at work. A paused one stopped after a whole step, which is kept."""
LOGGED_STAGES = (PRETRAIN, "sft", "reward", "ppo", OTHER)
SAMPLE_COLUMNS = ["step", "prompt_id", "prompt", "text", "score", "kl"]


@dataclass(frozen=True)
class StageStatus:
    """Where one stage stands. `state` is waiting, running, complete or one of `STOPPED`; times in seconds."""

    name: str
    state: str = "waiting"
    step: int = 0
    total: int = 0
    seconds: float = 0.0
    eta_seconds: float | None = None
    updated: float | None = None
    message: str = ""

    @property
    def progress(self) -> float:
        """Share of the steps done, 0 … 1."""
        return 1.0 if self.state == "complete" else min(self.step / self.total, 1.0) if self.total else 0.0


@dataclass(frozen=True)
class RunStatus:
    """Where a run stands; `stages` holds every stage in order, those not begun as waiting; of an imported run what it has."""

    state: str
    stages: tuple[StageStatus, ...]
    updated: float | None = None
    message: str = ""
    recorded: bool = False
    imported: str = ""
    """What the curves of a run that was trained elsewhere were read from: the format and the file; empty for every other."""

    @property
    def current(self) -> StageStatus | None:
        """The stage that runs or has stopped; None when all are complete or waiting."""
        return next((s for s in self.stages if s.state in ("running", *STOPPED)), None)

    @property
    def eta_seconds(self) -> float | None:
        """Seconds left in the current stage; None when nothing runs or nobody knows."""
        return self.current.eta_seconds if self.current and self.current.state == "running" else None


def list_runs(root: str | Path) -> list[Path]:
    """Return the run directories directly under `root`, newest status first; none when `root` is missing."""
    root = Path(root)
    found = [path for path in root.iterdir() if is_run(path)] if root.is_dir() else []
    return sorted(found, key=lambda path: (-_modified(path), path.name))


def is_run(path: str | Path) -> bool:
    """Say whether `path` looks like a run directory: it holds `status.json` or `config.yaml`."""
    path = Path(path)
    return (path / "status.json").is_file() or (path / "config.yaml").is_file()


class RunReader:
    """One run directory, read only. Keep it: metrics and samples are then read on from where the last call stopped."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise RunError("no such run", where=self.path, remedy="`rlhf runs` lists the runs that are there")
        self._metrics = {stage: MetricsTail(self.path / stage / "metrics.jsonl") for stage in LOGGED_STAGES}
        self._kept = KeptFiles()
        self._samples = {stage: JsonlTail(self.path / stage / "samples.jsonl") for stage in LOGGED_STAGES}

    @property
    def name(self) -> str:
        """The run's name: its folder's."""
        return self.path.name

    def status(self) -> RunStatus:
        """Return where the run and each of its stages stand.

        A run whose writing process has died while "running" is interrupted, and so is its running stage.

        Raises:
            RunError: `status.json` is not a JSON object of the expected shape.
        """
        raw = self._json(self.path / "status.json") or {}
        recorded = bool(raw.get("recorded", False))
        dead = not recorded and raw.get("state") == "running" and not _alive(raw.get("pid"), raw.get("updated"))
        entries = raw.get("stages", {})
        if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
            raise RunError("`stages` is not an object of objects", where=self.path / "status.json", value=entries)
        imported = str(raw.get("imported") or "")
        names = [name for name in LOGGED_STAGES if name in entries] if imported else _stage_names(entries)
        stages = tuple(_stage(name, entries.get(name, {}), dead) for name in names)
        state = "interrupted" if dead else str(raw.get("state", "new"))
        return RunStatus(state, stages, raw.get("updated"), str(raw.get("message") or ""), recorded, imported)

    @cached_property
    def environment(self) -> dict[str, Any]:
        """`env.json`: commit, versions, seed, hardware, command; empty when the file is missing."""
        about = self._json(self.path / "env.json") or {}
        if isinstance(about.get("command"), str):  # older runs wrote it as it was typed
            about = about | {"command": without_password(about["command"])}
        return about

    def config(self) -> dict[str, Any]:
        """Return `config.yaml` as plain data; empty when it is missing.

        Raises:
            RunError: the file is not YAML.
        """
        try:
            return self._kept.read(self.path / "config.yaml", _yaml)
        except FileNotFoundError:
            return {}

    def metrics(self, stage: str) -> pd.DataFrame:
        """Return the stage's rows so far: `step`, `time`, then one float column per metric logged, NaN where absent."""
        return self._tail(self._metrics, stage).frame()

    def metrics_revision(self, stage: str) -> int:
        """Return a number that changes whenever the rows of a stage do."""
        tail = self._tail(self._metrics, stage)
        tail.frame()
        return tail.revision

    def samples(self, stage: str = "ppo") -> pd.DataFrame:
        """Return completions written during training: step, prompt_id, prompt, text, score, kl."""
        return pd.DataFrame(self._tail(self._samples, stage).read(), columns=SAMPLE_COLUMNS)

    def outcome(self, stage: str = "ppo") -> Outcome | None:
        """Return how a stage ended and which state became its model; None while it runs, and for runs that do not say.

        Raises:
            RunError: `outcome.json` is damaged.
        """
        path = self.path / stage / FILE
        content = self._json(path)
        return None if content is None else parse_outcome(content, path)

    def lineage(self) -> Lineage | None:
        """Return which run and votes a later round comes from; None for a first round.

        Raises:
            RunError: `lineage.json` is damaged.
        """
        path = self.path / lineage.FILE
        content = self._json(path)
        return None if content is None else lineage.parse_lineage(content, path)

    def damaged_lines(self, stage: str) -> int:
        """Return how many damaged lines of the stage's metrics and samples were passed over."""
        return self._tail(self._metrics, stage).damaged + self._tail(self._samples, stage).damaged

    def checkpoints(self, stage: str) -> list[int]:
        """Return the steps with a checkpoint, ascending: the number each folder's name ends with."""
        folder = self.path / stage / "checkpoints"
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        return sorted({int(match[0]) for name in names if (match := re.search(r"\d+$", name))})

    def contenders(self) -> list[str]:
        """Return the contenders with completions: base, sft, best-of-n, tuned, then any others by name."""
        return in_order(path.stem for path in (self.path / "completions").glob("*.jsonl"))

    def completions(self, contender: str) -> list[ContenderCompletion]:
        """Return what one contender answered; nothing when it has no file.

        Raises:
            DataError: a line is not a completion (file:line: field).
        """
        path = self.path / "completions" / f"{contender}.jsonl"
        return list(self._kept.read(path, _completions)) if path.is_file() else []

    def evaluation(self, name: str) -> dict[str, Any] | None:
        """Return `evaluation/<name>.json`, or None when it has not been written.

        Raises:
            RunError: the file is not a JSON object.
        """
        return self._json(self.path / "evaluation" / f"{name}.json")

    def _tail(self, tails: Mapping[str, T], stage: str) -> T:
        if stage not in tails:
            raise RunError("no such stage", where=self.path, value=stage, remedy=f"Stages: {', '.join(tails)}")
        return tails[stage]

    def _json(self, path: Path) -> dict[str, Any] | None:
        try:
            return self._kept.read(path, _object)
        except (FileNotFoundError, NotADirectoryError):
            return None


def _object(path: Path) -> dict[str, Any]:
    try:
        value = parse_json(path.read_bytes())
    except ValueError as error:
        raise RunError(f"not JSON: {error}", where=path, remedy="Run the stage that writes it again") from error
    if not isinstance(value, dict):
        raise RunError("expected a JSON object", where=path, value=value)
    return value


def _yaml(path: Path) -> dict[str, Any]:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RunError(f"not YAML: {str(error).splitlines()[0]}", where=path) from error


def _completions(path: Path) -> list[ContenderCompletion]:
    return read_jsonl(path, ContenderCompletion)


def _stage_names(entries: Iterable[str]) -> tuple[str, ...]:
    """The stages a run is to go through: pretraining is a run of its own, or stands before a pipeline."""
    if PRETRAIN not in entries:
        return STAGES
    return (PRETRAIN, *STAGES) if any(name in entries for name in STAGES) else (PRETRAIN,)


def _stage(name: str, entry: dict[str, Any], dead: bool) -> StageStatus:
    state = str(entry.get("state", "waiting"))
    running = state == "running" and not dead
    return StageStatus(
        name,
        "interrupted" if state == "running" and dead else state,
        int(entry.get("step") or 0),
        int(entry.get("total") or 0),
        float(entry.get("seconds") or 0.0),
        _time_left(entry) if running else None,
        entry.get("updated"),
        str(entry.get("message") or ""),
    )


def _time_left(entry: dict[str, Any]) -> float | None:
    eta = entry.get("eta_seconds")
    if eta is None:
        return None
    return max(float(eta) - (time.time() - float(entry.get("updated") or time.time())), 0.0)


def _alive(pid: Any, at: Any) -> bool:
    return isinstance(pid, int) and pid > 0 and process_alive(pid, at if isinstance(at, float) else None)


def _modified(path: Path) -> float:
    for name in ("status.json", "config.yaml"):
        if (path / name).is_file():
            return (path / name).stat().st_mtime
    return 0.0
