"""A run that is being made: configurations to start from, what was changed, the command that does the same, what it will take."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil
import yaml

from dashboard.services.access import MANAGE
from dashboard.services.catalogue import STAGE_NAMES, list_entries
from dashboard.services.config_form import Resolved, Values, command_settings, overrides, resolve, said_at, values_of
from dashboard.services.settings import Settings
from rlhf_core.config import PipelineConfig, load_config
from rlhf_core.report.estimate_words import basis_words, roughly, size
from rlhf_core.runs.estimate import Estimate, estimate, multiplication_rate
from rlhf_core.runs.launch import free_name, load_run_config
from rlhf_core.runs.past import Past, past_stages
from rlhf_core.runs.reader import list_runs

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
FIRST = "quickstart.yaml"
OF_A_RUN, RUN_FILE = "run: ", "config.yaml"


@dataclass(frozen=True)
class Start:
    """A configuration to start from: its file, what it holds, and the form's first values with a name that is free."""

    path: Path
    config: PipelineConfig
    values: Mapping[str, Any]
    first: Mapping[str, Any]


@dataclass(frozen=True)
class Draft:
    """What the form makes of a start: the configuration or its problems, and what differs."""

    resolved: Resolved
    overrides: Mapping[str, str]
    command: str


def starts(settings: Settings) -> dict[str, Path]:
    """Return the configurations to start from by what a person calls them: those of the project, then those of runs.

    Raises:
        AccessError: not an owner.
    """
    settings.visitor.require(MANAGE)
    files = sorted(CONFIGS.glob("*.yaml"), key=lambda path: (path.name != FIRST, path.name))
    found = {path.name: path for path in files if _is_pipeline(path)}
    of_runs = {f"{OF_A_RUN}{entry.label}": entry.path / RUN_FILE for entry in list_entries(settings)}
    return found | {name: path for name, path in of_runs.items() if _is_pipeline(path)}


def open_start(settings: Settings, path: Path) -> Start:
    """Read a configuration to start from.

    Raises:
        ConfigError: it is missing or wrong.
        AccessError: not an owner.
    """
    settings.visitor.require(MANAGE)
    config = load_run_config(path.parent) if path.name == RUN_FILE else load_config(path)
    values = values_of(config)
    return Start(path, config, values, values | {"name": free_name(settings.run_root, config.name)})


def make_draft(settings: Settings, start: Start, values: Values) -> Draft:
    """Return what the values make; a name that is taken is a problem of the name."""
    root = settings.run_root.resolve()
    resolved, changed = resolve(values, root), overrides(start.values, values)
    if resolved.config and resolved.config.run_path.exists():
        free = free_name(root, resolved.config.name)
        taken = f"A run of this name is there already: resume that one, or choose another name, such as {free}."
        resolved = Resolved(None, {"name": taken})
    return Draft(resolved, changed, _command(start, changed, resolved.config))


def difference_rows(start: Start, draft: Draft) -> list[dict[str, str]]:
    """Return what differs from the start as a table."""
    return [
        {"Setting": place, start.path.name: said_at(start.values, place), "This run": value}
        for place, value in draft.overrides.items()
    ]


def estimate_run(settings: Settings, config: PipelineConfig) -> Estimate:
    """Return what a run will take, by earlier runs on this machine where there are any.

    Raises:
        DataError: a data file is missing or malformed.
        AccessError: not an owner.
    """
    settings.visitor.require(MANAGE)
    past = [one for path in list_runs(settings.run_root) for one in _past(path, _stamp(path))]
    return estimate(config, past, _rate())


def shortage(settings: Settings, made: Estimate) -> str:
    """Say what this machine has less of than the run will need; empty where there is enough."""
    lacking = []
    free, disk = psutil.virtual_memory().available, shutil.disk_usage(_existing(settings.run_root)).free
    if made.memory is not None and made.memory > free:
        lacking.append(f"{size(free)} of memory are free now, it may need {size(made.memory)}")
    if made.disk is not None and made.disk > disk:
        lacking.append(f"{size(disk)} of disk are free, it leaves {size(made.disk)}")
    return f"This machine may not have enough: {'; '.join(lacking)}." if lacking else ""


def estimate_rows(made: Estimate) -> list[dict[str, str]]:
    """Return the time of each stage and what it rests on, as a table."""
    return [
        {"Stage": STAGE_NAMES[one.stage], "Time": roughly(one), "Rests on": basis_words(one)} for one in made.stages
    ]


def _is_pipeline(path: Path) -> bool:
    """Say whether a file is the configuration of a pipeline, by its sections: a damaged one is for the form to tell."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return False
    return isinstance(content, dict) and "data" in content


def _command(start: Start, changed: Mapping[str, str], config: PipelineConfig | None) -> str:
    """The command that does the same; empty while there is nothing to do."""
    if config is None:
        return ""
    settings = command_settings(start.path, config, changed)
    return shlex.join(["rlhf", "pipeline", str(start.path), *(word for one in settings for word in ("--set", one))])


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(one for one in (folder.resolve(), *folder.resolve().parents) if one.is_dir())


@lru_cache(maxsize=128)
def _past(path: Path, _stamped: int) -> list[Past]:
    """What one run says; read again only when its status has changed."""
    return past_stages([path])


def _stamp(path: Path) -> int:
    status = path / "status.json"
    return status.stat().st_mtime_ns if status.is_file() else 0


@lru_cache(maxsize=1)
def _rate() -> float:
    return multiplication_rate()
