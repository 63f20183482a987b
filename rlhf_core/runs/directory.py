"""Write a run directory: configuration, environment, status, metrics, samples.

Layout of `<run_root>/<name>/`::

    config.yaml   env.json   status.json   (of a later round: round.yaml  lineage.json  data/)
    sft/ reward/ ppo/            metrics.jsonl  samples.jsonl  checkpoints/  model/
    completions/<contender>.jsonl     completions/refusals/<contender>.jsonl
    evaluation/*.json
    playground.jsonl             pairs kept on the Playground page
    playground/<name>.json       conversations of that page, the last 100

Appends are whole lines; whole files are written aside and renamed.
"""

from __future__ import annotations

import json
import math
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from rlhf_core.data.io import append_jsonl, write_json, write_text
from rlhf_core.errors import RunError
from rlhf_core.passwords import without_password
from rlhf_core.runs.sinks import Feed, Trackers

PRETRAIN = "pretrain"
OTHER = "other"
"""Training of a kind that no stage is, such as DPO: of imported runs alone."""
REFUSALS = "completions/refusals"
"""Answers to the prompts of a test of refusals, apart from those to the held-out prompts that people judge."""
STAGES = ("sft", "reward", "ppo", "generate", "evaluate")
CLOCK_ERROR = 2.0
"""Seconds by which the time at which a process began may be wrong: the system counts from a start known to the second."""
Number = float | int | None


class RunDirectory:
    """One run on disk. Only one process writes it at a time; any number may read."""

    def __init__(self, path: str | Path, trackers: Trackers | None = None) -> None:
        self.path, self.trackers = Path(path), trackers or Trackers()

    def create(self, config_yaml: str, seed: int, accelerator: str | None = None) -> None:
        """Make the folder and write `config.yaml` and `env.json`; an existing run is kept and goes on."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(self.path / "config.yaml", config_yaml)
        write_json(self.path / "env.json", describe_environment(seed, accelerator))

    def stage(self, name: str) -> StageDirectory:
        """Return the folder of one stage."""
        return StageDirectory(self.path / name, partial(self.trackers.feeds, self.path))

    def lock(self) -> None:
        """Claim the directory for this process.

        Raises:
            RunError: another live process is writing it.
        """
        owner = self.path / "writer.pid"
        with suppress(FileNotFoundError, ValueError):
            pid, written = int(owner.read_text()), owner.stat().st_mtime
            if pid != os.getpid() and process_alive(pid, written):
                raise RunError(
                    f"process {pid} is already writing this run",
                    where=self.path,
                    remedy="Wait for it, stop it, or choose another name with --set name=…",
                )
        write_text(owner, str(os.getpid()))

    def read_status(self) -> dict[str, Any]:
        """Return `status.json`, or an empty status when there is none."""
        try:
            return json.loads((self.path / "status.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {"state": "new", "stages": {}}

    def update_stage(self, stage: str, **fields: Any) -> None:
        """Merge `fields` into one stage's entry of `status.json` and stamp the time."""
        status = self.read_status()
        entry = status["stages"].setdefault(stage, {})
        entry.update(fields, updated=time.time())
        status["updated"], status["pid"] = entry["updated"], os.getpid()
        write_json(self.path / "status.json", status)

    def update(self, **fields: Any) -> None:
        """Merge `fields` into the top of `status.json` and stamp the time."""
        status = self.read_status()
        status.update(fields, updated=time.time(), pid=os.getpid())
        write_json(self.path / "status.json", status)


class StageDirectory:
    """The folder of one stage: appends metrics and samples, keeps checkpoints and the finished model.

    `feeds` makes what sends the rows of a stage's folder to trackers. They begin with `rewind`, which every training loop
    calls before its first row, and end with `close`.
    """

    def __init__(self, path: str | Path, feeds: Callable[[Path], Sequence[Feed]] = lambda _: ()) -> None:
        self.path = Path(path)
        self._make_feeds, self._feeds, self._inner = feeds, list[Feed](), list[StageDirectory]()
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model"

    def log(self, step: int, metrics: Mapping[str, Number]) -> None:
        """Append one row to `metrics.jsonl`: `step`, `time` (Unix seconds), then the metrics; NaN becomes null."""
        row = {"step": step, "time": time.time()} | {name: _finite(value) for name, value in metrics.items()}
        append_jsonl(self.path / "metrics.jsonl", row)
        for feed in self._feeds:
            feed.put(row)

    def inner(self, name: str) -> StageDirectory:
        """Return a folder within, such as that of a member of an ensemble, which is closed with this one."""
        self._inner.append(StageDirectory(self.path / name, self._make_feeds))
        return self._inner[-1]

    def close(self) -> None:
        """Let trackers have what is left; nothing is logged after it."""
        for feed in self._feeds:
            feed.close()
        for inner in self._inner:
            inner.close()

    def sample(self, rows: list[dict[str, Any]]) -> None:
        """Append completions written during training to `samples.jsonl`."""
        for row in rows:
            append_jsonl(self.path / "samples.jsonl", {key: _finite(value) for key, value in row.items()})

    def rewind(self, step: int) -> None:
        """Drop rows logged after `step` (and a torn last line), so that a resumed run appends where it left off."""
        rows = {}
        for name in ("metrics.jsonl", "samples.jsonl"):
            path = self.path / name
            if path.is_file():
                kept = [line for line in path.read_bytes().split(b"\n") if _row_step(line) <= step]
                write_text(path, b"".join(line + b"\n" for line in kept).decode("utf-8"))
                rows[name] = len(kept)
        self._feeds = list(self._make_feeds(self.path))
        for feed in self._feeds:
            feed.begin(rows.get("metrics.jsonl", 0))


def describe_environment(seed: int, accelerator: str | None = None) -> dict[str, Any]:
    """Return what is needed to repeat a run: commit, versions, seed, hardware, command and the folder it was given in.

    The command is without passwords: who gives it again has them in the environment.

    `accelerator` names the graphics card models compute on; None is the processor.
    """
    packages = ("torch", "transformers", "peft", "evaluate", "streamlit", "pandas", "numpy")
    return {
        "commit": _git_commit(),
        "command": shlex.join(["rlhf", *map(without_password, sys.argv[1:])]),
        "folder": str(Path.cwd()),
        "seed": seed,
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in packages},
        "platform": platform.platform(),
        **describe_hardware(),
        "accelerator": accelerator,
        "started": time.time(),
    }


def describe_hardware() -> dict[str, Any]:
    """Return what tells machines apart whose times can be compared: the processor's name and its cores."""
    return {"cpu": _cpu_name(), "cores": os.cpu_count()}


def process_alive(pid: int, at: float | None = None) -> bool:
    """Say whether the process with this id works on this machine; with `at`, whether it is the one that did at that Unix time.

    Ids are given anew: a process that began after `at` is another one. One that has ended and was not waited for is over.
    """
    try:
        process = psutil.Process(pid)
        began = process.create_time() - CLOCK_ERROR
        return process.status() != psutil.STATUS_ZOMBIE and (at is None or began <= at)
    except psutil.AccessDenied:
        return True
    except psutil.NoSuchProcess:
        return False


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _row_step(line: bytes) -> float:
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):
        return math.inf


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    here = Path(__file__).resolve().parent
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _cpu_name() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
