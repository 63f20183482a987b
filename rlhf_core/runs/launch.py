"""Runs started as processes of their own, asked to stop, and started again; the run directory says all of it.

What a process prints is appended to `<run_root>/NAME.log`, beside the run.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import psutil
import yaml

from rlhf_core.config import PipelineConfig, load_config
from rlhf_core.data.io import write_json, write_text
from rlhf_core.errors import RunError
from rlhf_core.runs import lineage
from rlhf_core.runs.kept import KeptFiles
from rlhf_core.runs.standing import LAUNCH, PAUSE, note_pause, pause_asked, read_json, writer

LOG_BYTES = 64 * 1024  # of a log's end that are read at most

_one_at_a_time = Lock()
_files = KeptFiles()


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
    """Start a run that has stopped again, so that it goes on where it was: with its own configuration, or by a round's own command.

    A run that is at work already is left alone.

    Raises:
        RunError: it is recorded, a round that does not say how it was started, or cannot be started.
    """
    with _one_at_a_time:
        if writer(path):
            return
        if read_json(path / "status.json").get("recorded"):
            raise RunError("was recorded elsewhere and cannot go on here", where=path, remedy="Start a new run from it")
        _launch(path, by)


def pause(path: Path, by: str = "") -> None:
    """Ask the process that writes a run to stop: after the step under way where steps are kept, elsewhere at once.

    Asked again it is not hurried; `stop_now` does that.

    Raises:
        RunError: no process writes this run, or it is another user's.
    """
    with _one_at_a_time:
        process = _writer(path)
        if pause_asked(path):
            return
        note_pause(path, by)
        try:
            _signal(process, path)
        except RunError:
            (path / PAUSE).unlink(missing_ok=True)  # nobody was asked
            raise


def stop_now(path: Path) -> None:
    """Ask a run that is pausing not to finish its step; what it has done of it is lost.

    Raises:
        RunError: no process writes this run, or it is another user's.
    """
    _signal(_writer(path), path)


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

    They were given on a command line, so they are relative to the folder it was given in; a run that does not say which was
    started from this process's.
    """
    config, found = _config(path), []
    folder = Path(read_json(path / "env.json").get("folder") or Path.cwd())
    for keys in (*PipelineConfig.path_keys, *PipelineConfig.model_keys):
        value: Any = config
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        is_path = keys in PipelineConfig.path_keys or str(value).startswith(".")  # a model's name stays a name
        if keys != ("run_root",) and isinstance(value, str) and is_path and not Path(value).is_absolute():
            found.append(f"{'.'.join(keys)}={json.dumps(str((folder / value).resolve()))}")
    return found


def free_name(root: Path, name: str) -> str:
    """Return the name, or the first of `name-2`, `name-3` … that no run has."""
    if not (root / name).exists():
        return name
    stem, dash, number = name.rpartition("-")
    stem, first = (stem, int(number) + 1) if dash and number.isdecimal() else (name, 2)
    return next(free for n in range(first, first + 10**6) if not (root / (free := f"{stem}-{n}")).exists())


def spawn(arguments: Sequence[str], log: Path, folder: Path | None = None) -> subprocess.Popen[bytes]:
    """Start `rlhf ARGUMENTS` in a session of its own, which no closed page or terminal ends; append its output to `log`.

    It works in `folder`, or in this process's.
    """
    command = [sys.executable, "-m", "rlhf_core", *arguments]
    with log.open("ab") as output:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd=folder
        )


def _launch(path: Path, by: str) -> None:
    arguments, folder = _of_a_round(path) if (path / lineage.FILE).is_file() else (_of_a_pipeline(path), None)
    try:
        process = spawn(arguments, log_path(path), folder)
        write_json(path / LAUNCH, {"pid": process.pid, "at": time.time(), "by": by})
    except OSError as error:
        raise RunError(f"cannot be started: {error.strerror}", where=folder or path) from error
    Thread(target=process.wait, daemon=True).start()  # so that a process that ends is gone


def _of_a_pipeline(path: Path) -> list[str]:
    """The words after `rlhf` that run the configuration in a run directory, there."""
    settings = [
        f"run_root={json.dumps(str(path.resolve().parent))}",
        f"name={json.dumps(path.name)}",
        *path_settings(path),
    ]
    config = _config(path)
    command = ["pretrain"] if "text" in config and "data" not in config else ["pipeline", "--fetch"]
    options = [part for setting in settings for part in ("--set", setting)]
    return [*command, str(path.resolve() / "config.yaml"), *options]


def _of_a_round(path: Path) -> tuple[list[str], Path]:
    """The words after `rlhf` that a later round was started with, and the folder they were given in.

    Raises:
        RunError: it does not say.
    """
    about = read_json(path / "env.json")
    command, folder = about.get("command") or "", about.get("folder") or ""
    if not (command and folder):
        raise RunError(
            "is a later round that does not say where its command was given",
            where=path,
            remedy=f"Run `{command or 'rlhf round RUN'}` there",
        )
    return shlex.split(command)[1:], Path(folder)


def _writer(path: Path) -> psutil.Process:
    process = writer(path)
    if process is None:
        raise RunError(
            "no process is at work on this run", where=path, remedy="It has ended already: look at its state"
        )
    return process


def _signal(process: psutil.Process, path: Path) -> None:
    try:
        process.terminate()  # psutil sends nothing to another process that was given the same id
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied as error:
        raise RunError(
            f"process {process.pid} belongs to another user of this machine", where=path, remedy="Ask them to stop it"
        ) from error


def _config(path: Path) -> dict[str, Any]:
    """A run's configuration as it is written; empty when it is missing or damaged."""
    try:
        config = yaml.safe_load(_text(path / "config.yaml"))
    except yaml.YAMLError:
        return {}
    return config if isinstance(config, dict) else {}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
