"""Where a run stands as a process: whose process is at work on it, and what became of the one before.

`launch.json` tells which process was started last from here, when and by whom; `pause.json` when somebody last asked it to stop.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from rlhf_core.data.io import parse_json, write_json
from rlhf_core.runs.directory import process_alive
from rlhf_core.runs.kept import KeptFiles
from rlhf_core.runs.reader import RunReader, RunStatus

LAUNCH, PAUSE = "launch.json", "pause.json"
AT_WORK = ("starting", "running", "pausing")
RESUMABLE = ("paused", "interrupted", "failed")

_files = KeptFiles()


@dataclass(frozen=True)
class Standing:
    """Where a run stands as a process.

    `state` is starting (its process has not written anything yet), running, pausing (asked to stop, finishing its step), paused,
    interrupted (its process ended without being asked from here), failed, complete, recorded, or new (never started).
    """

    state: str
    status: RunStatus
    pid: int | None = None
    by: str = ""
    """Who started it last, or asked it to pause; empty where nobody has a name."""
    began: float = 0.0
    """When it was started last, as a Unix time; 0 for never."""


def standing(reader: RunReader) -> Standing:
    """Return where a run stands.

    Raises:
        RunError: `status.json` is damaged.
    """
    path = reader.path
    status, written, launched = reader.status(), read_json(path / "status.json"), read_json(path / LAUNCH)
    to_pause, process = pause_asked(path), writer(path)
    unheard = launched.get("at", 0.0) > (status.updated or 0.0)  # what was started last has not said anything
    if status.recorded:
        state = "recorded"
    elif process:
        state = "pausing" if to_pause else "starting" if unheard or written.get("pid") != process.pid else "running"
    elif status.state in ("complete", "failed", "paused") and not unheard:
        state = status.state
    elif to_pause:
        state = "paused"
    elif unheard:
        state = "failed"
    else:
        state = "new" if status.state == "new" else "interrupted"
    by = read_json(path / PAUSE if state in ("pausing", "paused") else path / LAUNCH)
    return Standing(state, status, process.pid if process else None, str(by.get("by", "")), _began(path))


def note_pause(path: Path, by: str = "") -> None:
    """Write down that a run was asked to stop, unless it was asked before since it was started last."""
    if not pause_asked(path):
        write_json(path / PAUSE, {"at": time.time(), "by": by})


def pause_asked(path: Path) -> bool:
    """Say whether somebody has asked a run to stop since it was started last."""
    return read_json(path / PAUSE).get("at", 0.0) >= _began(path) > 0


def writer(path: Path) -> psutil.Process | None:
    """Return the process that works on a run; None when there is none, or its id is by now another process's."""
    status, launched = read_json(path / "status.json"), read_json(path / LAUNCH)
    if status.get("recorded"):
        return None
    for pid, at in ((launched.get("pid"), launched.get("at")), (status.get("pid"), status.get("updated"))):
        if isinstance(pid, int) and isinstance(at, int | float) and (process := _same_process(pid, at)):
            return process
    return None


def read_json(path: Path) -> dict[str, Any]:
    """Return a small JSON file of a run; empty when it is missing or damaged."""
    try:
        value = _files.read(path, lambda file: parse_json(file.read_bytes()))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _began(path: Path) -> float:
    """When a run was started last, from here or in a terminal."""
    return max(read_json(path / LAUNCH).get("at", 0.0), read_json(path / "env.json").get("started", 0.0))


def _same_process(pid: int, at: float) -> psutil.Process | None:
    """The process of this id that was at work at a Unix time, if it is an `rlhf` command and still there."""
    if pid <= 0 or not process_alive(pid, at):
        return None
    try:
        process = psutil.Process(pid)
        return process if _is_ours(process.cmdline()) else None
    except psutil.Error:
        return None


def _is_ours(words: Sequence[str]) -> bool:
    return "rlhf_core" in words or any(Path(word).name == "rlhf" for word in words[:2])
