"""Runs as processes of their own: started, found again, asked to stop, started again. The run directory says all of it.

`launch.json` tells which process was started last, when and by whom; `pause.json` when somebody last asked it to stop.
What a process prints is appended to `<run_root>/NAME.log`, beside the run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import psutil
import yaml

from rlhf_core.config import PipelineConfig, load_config
from rlhf_core.data.io import parse_json, write_json, write_text
from rlhf_core.errors import RunError
from rlhf_core.runs import lineage
from rlhf_core.runs.directory import process_alive
from rlhf_core.runs.kept import KeptFiles
from rlhf_core.runs.reader import RunReader, RunStatus

LAUNCH, PAUSE = "launch.json", "pause.json"
AT_WORK = ("starting", "running", "pausing")
RESUMABLE = ("paused", "interrupted", "failed")
LOG_BYTES = 64 * 1024  # of a log's end that are read at most

_one_at_a_time = Lock()
_files = KeptFiles()


@dataclass(frozen=True)
class Standing:
    """Where a run stands as a process.

    `state` is starting (its process has not written anything yet), running, pausing (asked to stop, still at work), paused,
    interrupted (its process ended without being asked from here), failed, complete, recorded, or new (never started).
    """

    state: str
    status: RunStatus
    pid: int | None = None
    by: str = ""
    """Who started it last, or asked it to pause; empty where nobody has a name."""
    began: float = 0.0
    """When it was started last, as a Unix time; 0 for never."""


def start(config: PipelineConfig, by: str = "") -> Path:
    """Start `rlhf pipeline` on a new run, as a process that outlives this one; return the run directory.

    The same configuration again, while it is at work, is the same run.

    Raises:
        RunError: the name is taken, or nothing can be written or started there.
    """
    path = config.run_path.resolve()
    with _one_at_a_time:
        if path.exists() and _text(path / "config.yaml") == config.to_yaml() and writer(path):
            return path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir()
            write_text(path / "config.yaml", config.to_yaml())
        except FileExistsError as error:
            raise RunError(
                "a run of this name is there already",
                where=path,
                remedy=f"Resume that one, or choose another name, such as {free_name(path.parent, path.name)}",
            ) from error
        except OSError as error:
            raise RunError(f"cannot be written: {error.strerror}", where=path) from error
        _launch(path, by)
    return path


def resume(path: Path, by: str = "") -> None:
    """Start a run that has stopped again, with its own configuration, so that it goes on where it was.

    A run that is at work already is left alone.

    Raises:
        RunError: it is recorded, a later round (which goes on with its own command), or cannot be started.
    """
    with _one_at_a_time:
        if writer(path):
            return
        if _recorded(path):
            raise RunError("was recorded elsewhere and cannot go on here", where=path, remedy="Start a new run from it")
        if (path / lineage.FILE).is_file():
            command = RunReader(path).environment.get("command", "rlhf round RUN")
            raise RunError(
                "is a later round, which goes on with its own command", where=path, remedy=f"Run `{command}`"
            )
        _launch(path, by)


def pause(path: Path, by: str = "") -> None:
    """Ask the process that writes a run to stop at once; everything up to its last checkpoint is kept.

    Raises:
        RunError: no process writes this run.
    """
    process = writer(path)
    if process is None:
        raise RunError(
            "no process is at work on this run", where=path, remedy="It has ended already: look at its state"
        )
    write_json(path / PAUSE, {"at": time.time(), "by": by})
    try:
        process.terminate()  # psutil sends nothing to another process that was given the same id
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied as error:
        raise RunError(
            f"process {process.pid} belongs to another user of this machine", where=path, remedy="Ask them to stop it"
        ) from error


def standing(reader: RunReader) -> Standing:
    """Return where a run stands.

    Raises:
        RunError: `status.json` is damaged.
    """
    path = reader.path
    status, written = reader.status(), _read(path / "status.json")
    launched, asked = _read(path / LAUNCH), _read(path / PAUSE)
    began = max(launched.get("at", 0.0), _read(path / "env.json").get("started", 0.0))
    to_pause = asked.get("at", 0.0) >= began > 0
    process = writer(path)
    unheard = launched.get("at", 0.0) > (status.updated or 0.0)  # what was started last has not said anything
    if status.recorded:
        state = "recorded"
    elif process:
        state = "pausing" if to_pause else "starting" if unheard or written.get("pid") != process.pid else "running"
    elif status.state in ("complete", "failed") and not unheard:
        state = status.state
    elif to_pause:
        state = "paused"
    elif unheard:
        state = "failed"
    else:
        state = "new" if status.state == "new" else "interrupted"
    by = asked if state in ("pausing", "paused") else launched
    return Standing(state, status, process.pid if process else None, str(by.get("by", "")), began)


def writer(path: Path) -> psutil.Process | None:
    """Return the process that works on a run; None when there is none, or its id is by now another process's."""
    if _recorded(path):
        return None
    status, launched = _read(path / "status.json"), _read(path / LAUNCH)
    for pid, at in ((launched.get("pid"), launched.get("at")), (status.get("pid"), status.get("updated"))):
        if isinstance(pid, int) and isinstance(at, int | float) and (process := _same_process(pid, at)):
            return process
    return None


def log_path(path: Path) -> Path:
    """Return the file that what a run prints is appended to."""
    return path.parent / f"{path.name}.log"


def log_tail(path: Path, lines: int) -> list[str]:
    """Return the last lines of a run's log; none while there is no log."""
    try:
        return _files.read(log_path(path), _last_lines)[-lines:]
    except OSError:
        return []


def _last_lines(log: Path) -> list[str]:
    with log.open("rb") as file:
        file.seek(max(file.seek(0, 2) - LOG_BYTES, 0))
        text = file.read().decode("utf-8", "replace")
    return [line for line in text.splitlines() if line.strip()]


def load_run_config(path: Path) -> PipelineConfig:
    """Read the configuration of a run directory; see `path_settings`.

    Raises:
        ConfigError: it is missing, or not that of a pipeline.
    """
    return load_config(path / "config.yaml", path_settings(path))


def path_settings(path: Path) -> list[str]:
    """Return the `key=value` settings that make relative paths in a run's configuration absolute.

    They were given on a command line, so they are relative to a working directory; this process's is taken for it.
    """
    config, found = _config(path), []
    for keys in (*PipelineConfig.path_keys, *PipelineConfig.model_keys):
        value: Any = config
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        is_path = keys in PipelineConfig.path_keys or str(value).startswith(".")  # a model's name stays a name
        if keys != ("run_root",) and isinstance(value, str) and is_path and not Path(value).is_absolute():
            found.append(f"{'.'.join(keys)}={json.dumps(str(Path(value).resolve()))}")
    return found


def free_name(root: Path, name: str) -> str:
    """Return the name, or the first of `name-2`, `name-3` … that no run has."""
    if not (root / name).exists():
        return name
    stem, dash, number = name.rpartition("-")
    stem, first = (stem, int(number) + 1) if dash and number.isdecimal() else (name, 2)
    return next(free for n in range(first, first + 10**6) if not (root / (free := f"{stem}-{n}")).exists())


def spawn(arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start `rlhf ARGUMENTS` in a session of its own, which no closed page or terminal ends; append its output to `log`."""
    command = [sys.executable, "-m", "rlhf_core", *arguments]
    with log.open("ab") as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)


def _launch(path: Path, by: str) -> None:
    settings = [
        f"run_root={json.dumps(str(path.resolve().parent))}",
        f"name={json.dumps(path.name)}",
        *path_settings(path),
    ]
    config = _config(path)
    command = ["pretrain"] if "text" in config and "data" not in config else ["pipeline", "--fetch"]
    options = [part for setting in settings for part in ("--set", setting)]
    try:
        process = spawn([*command, str(path.resolve() / "config.yaml"), *options], log_path(path))
        write_json(path / LAUNCH, {"pid": process.pid, "at": time.time(), "by": by})
    except OSError as error:
        raise RunError(f"cannot be started: {error.strerror}", where=path) from error
    Thread(target=process.wait, daemon=True).start()  # so that a process that ends is gone


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


def _config(path: Path) -> dict[str, Any]:
    """A run's configuration as it is written; empty when it is missing or damaged."""
    try:
        config = yaml.safe_load(_text(path / "config.yaml"))
    except yaml.YAMLError:
        return {}
    return config if isinstance(config, dict) else {}


def _recorded(path: Path) -> bool:
    return bool(_read(path / "status.json").get("recorded"))


def _read(path: Path) -> dict[str, Any]:
    """A small JSON file of a run; empty when it is missing or damaged."""
    try:
        value = _files.read(path, lambda file: parse_json(file.read_bytes()))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
