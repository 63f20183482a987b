"""The formats in which curves come, told by what a file or a folder holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rlhf_core.data.io import read_content
from rlhf_core.errors import DataError
from rlhf_core.runs.foreign.series import Series
from rlhf_core.runs.foreign.tables import read_table
from rlhf_core.runs.foreign.tensorboard import MARK, find_event_files, read_tensorboard
from rlhf_core.runs.foreign.trackio import HEADER, read_trackio
from rlhf_core.runs.foreign.trainer_state import find_states, read_trainer_state

AUTO = "auto"
BEGINNING = 4096
"""Bytes by which a format is told."""


@dataclass(frozen=True)
class CurveFormat:
    """One format.

    Attributes:
        title: what people call it.
        read: reads a file, or a folder where the format has them, into the runs it holds by name.
    """

    title: str
    read: Callable[[Path], Mapping[str, Series]]


FORMATS = {
    "tensorboard": CurveFormat("TensorBoard", read_tensorboard),
    "trainer-state": CurveFormat("Hugging Face trainer_state.json", read_trainer_state),
    "trackio": CurveFormat("Trackio", read_trackio),
    "csv": CurveFormat("CSV", read_table),
}


def read_curves(path: str | Path, format: str = AUTO) -> dict[str, Series]:
    """Return what each run in a file or a folder logged, by its name there; `.` is one that has none.

    Raises:
        DataError: unknown format, nothing of it there, or something in it is not as it should be (up to 20 problems at once).
    """
    path = Path(path)
    return dict(FORMATS[find_format(path) if format == AUTO else _known(format)].read(_there(path)))


def find_format(path: Path) -> str:
    """Return the format of a file or a folder.

    Raises:
        DataError: nothing is there, or it cannot be told.
    """
    if _there(path).is_dir():
        found = {"tensorboard": bool(find_event_files(path)), "trainer-state": bool(find_states(path))}
        names = [name for name, holds in found.items() if holds]
        if len(names) == 1:
            return names[0]
        what = "holds TensorBoard files and trainer_state.json" if names else "holds no curves"
        raise DataError(what, where=path, remedy="Name the one file or folder to read, or its format")
    if MARK in path.name:
        return "tensorboard"
    start = read_content(path, BEGINNING)
    if start.startswith(HEADER):
        return "trackio"
    return "trainer-state" if start.lstrip().startswith(b"{") else "csv"


def _there(path: Path) -> Path:
    if not path.exists():
        raise DataError("no such file or folder", where=path, remedy="Check the path")
    return path


def _known(format: str) -> str:
    if format not in FORMATS:
        raise DataError("unknown format", value=format, remedy=f"Formats: {AUTO}, {', '.join(FORMATS)}")
    return format
