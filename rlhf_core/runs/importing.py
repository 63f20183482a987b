"""Training curves of other tools as ordinary run directories: they stand in the dashboard beside ours, with every point."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rlhf_core.data.io import write_json
from rlhf_core.errors import DataError, RunError
from rlhf_core.runs.directory import OTHER
from rlhf_core.runs.foreign import FORMATS, Series, find_format, read_curves
from rlhf_core.runs.foreign.formats import AUTO
from rlhf_core.runs.foreign.lines import metric_lines
from rlhf_core.runs.foreign.meaning import NOT_TOLD, Placed, our_names, place
from rlhf_core.runs.reader import LOGGED_STAGES


@dataclass(frozen=True)
class ImportedStage:
    """The curves of one stage of a run.

    Attributes:
        stage: its name among ours; `other` for what is none of them.
        told: by what that was told.
        rows: how many rows it has.
        last: the last step.
        metrics: what they are called here.
        renamed: their name → ours, of those that have another.
        left_out: what stood in the file and is no curve, in words.
    """

    stage: str
    told: str
    rows: int
    last: int
    metrics: tuple[str, ...]
    renamed: Mapping[str, str]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class CurveImport:
    """What an import wrote, or would write: run directory → its stages."""

    format: str
    source: Path
    runs: Mapping[Path, tuple[ImportedStage, ...]]
    written: bool

    @property
    def sentences(self) -> tuple[str, ...]:
        """The import in words, one line for each thing to know."""
        verb = "" if self.written else "would be "
        said = [f"{self.source}: {FORMATS[self.format].title}"]
        for path, stages in self.runs.items():
            said.append(f"{path}: {verb}written")
            said += [line for stage in stages for line in _stage_sentences(stage)]
        return tuple(said)


def import_curves(
    source: str | Path, out: str | Path, *, format: str = AUTO, stage: str | None = None, dry_run: bool = False
) -> CurveImport:
    """Write what a file or a folder of curves holds as a run directory at `out`; with `dry_run` only say what would be written.

    A source of several runs becomes as many directories, `OUT-NAME` each. Which stage a run is, is told by what it logs or
    by its name; what neither tells stands as `other`, unless `stage` says.

    Raises:
        DataError: the source is not as it should be (up to 20 problems at once), or `stage` is none. Nothing is written then.
        RunError: a run of that name is there, or the folder cannot be written.
    """
    source, out = Path(source), Path(out)
    if stage is not None and stage not in LOGGED_STAGES:
        raise DataError("unknown stage", value=stage, remedy=f"Stages: {', '.join(LOGGED_STAGES)}")
    found = find_format(source) if format == AUTO else format
    runs = _runs(read_curves(source, found), source, stage)
    paths = dict(zip(runs, _paths(out, list(runs)), strict=True))
    for path in paths.values():
        if path.exists():
            raise RunError("a run of this name is there already", where=path, remedy="Choose another name")
    label = f"{FORMATS[found].title}, {'/'.join(source.resolve().parts[-2:])}"
    if not dry_run:
        _write({paths[run]: stages for run, stages in runs.items()}, label)
    about = {paths[run]: tuple(one.about for one in stages) for run, stages in runs.items()}
    return CurveImport(found, source, about, not dry_run)


@dataclass(frozen=True)
class _Stage:
    about: ImportedStage
    rows: pd.DataFrame


def _runs(read: Mapping[str, Series], source: Path, stage: str | None) -> dict[str, list[_Stage]]:
    """The stages of each run, by the run's name in the source."""
    runs: dict[str, list[_Stage]] = {}
    for name, series in read.items():
        metrics = [column for column in series.rows.columns if column not in ("step", "time")]
        placed = place(name, metrics, stage)
        others = runs.setdefault(placed.run, [])
        if any(other.about.stage == placed.stage for other in others):
            what = f"two parts of one run, {name!a} the second of them, would both be stage {placed.stage}"
            raise DataError(what, where=source, remedy="Import them one at a time, each with its stage")
        others.append(_stage(series, placed, metrics))
    return runs


def _stage(series: Series, placed: Placed, metrics: Iterable[str]) -> _Stage:
    renamed = our_names(list(metrics), placed.stage)
    rows = series.rows.rename(columns=renamed)
    names = tuple(renamed.get(name, name) for name in metrics)
    last = int(rows["step"].to_numpy().max())
    about = ImportedStage(placed.stage, placed.told, len(rows), last, names, renamed, series.left_out)
    return _Stage(about, rows)


def _paths(out: Path, runs: list[str]) -> list[Path]:
    """Where each run goes: one to `out`, several beside it, each under a name of its own."""
    if len(runs) == 1:
        return [out]
    found: list[Path] = []
    for run in runs:
        name = "-".join(filter(None, [out.name, re.sub(r"[^A-Za-z0-9._-]+", "-", run).strip("-.")]))
        again = sum(path.name == name or path.name.startswith(f"{name}.") for path in found)
        found.append(out.with_name(f"{name}.{again + 1}" if again else name))
    return found


def _write(runs: Mapping[Path, list[_Stage]], label: str) -> None:
    """Write all runs aside, then rename them: a reader or a full disk never meets half of one."""
    aside = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in runs}
    try:
        for path, stages in runs.items():
            _write_run(aside[path], stages, label)
        for path, beside in aside.items():
            beside.rename(path)
    except OSError as error:
        raise RunError(f"cannot be written: {error.strerror}", where=error.filename) from error
    finally:
        for beside in aside.values():
            shutil.rmtree(beside, ignore_errors=True)


def _write_run(path: Path, stages: list[_Stage], label: str) -> None:
    now, entries = time.time(), {}
    for one in stages:
        folder = path / one.about.stage
        folder.mkdir(parents=True)
        with (folder / "metrics.jsonl").open("wb") as file:
            file.writelines(metric_lines(one.rows))
        entries[one.about.stage] = _entry(one, now)
    status = {"state": "complete", "recorded": True, "imported": label, "updated": now, "stages": entries}
    write_json(path / "status.json", status)


def _entry(one: _Stage, now: float) -> dict[str, Any]:
    times = one.rows["time"].to_numpy() if "time" in one.rows else np.zeros(1)
    seconds = round(float(np.nanmax(times) - np.nanmin(times)), 1)
    return {"state": "complete", "step": one.about.last, "total": one.about.last, "seconds": seconds, "updated": now}


def _stage_sentences(one: ImportedStage) -> list[str]:
    rows, metrics = _count(one.rows, "row"), _count(len(one.metrics), "metric")
    said = [f"  {one.stage}, {one.told}: {rows} to step {one.last:,}, {metrics}"]
    if one.told == NOT_TOLD:
        said.append(f"  give the stage where it is one of {', '.join(s for s in LOGGED_STAGES if s != OTHER)}")
    said += [f"  {theirs} is {ours} here" for theirs, ours in one.renamed.items()]
    return said + [f"  left out: {what}" for what in one.left_out]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
