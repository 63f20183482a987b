"""TensorBoard event files: every scalar that was logged, none sampled; a folder of them has a run for each folder inside.

`EventAccumulator(size_guidance={"scalars": 0, "tensors": 0})` keeps the same points; it passes over whatever follows a
damaged record, and takes several times as long.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rlhf_core.errors import DataError
from rlhf_core.runs.foreign.records import read_records
from rlhf_core.runs.foreign.series import Floats, Series, Whole, join_points

MARK = "tfevents"
SCALARS = "scalars"


def find_event_files(folder: Path) -> list[Path]:
    """Return the event files in a folder and the folders in it, by path."""
    return sorted(path for path in folder.rglob(f"*{MARK}*") if path.is_file())


def read_tensorboard(path: Path) -> dict[str, Series]:
    """Return the runs of an event file, or of a folder: each folder that holds event files is a run, named by its path there.

    Raises:
        DataError: damaged, not an event file, or without a scalar.
    """
    files = find_event_files(path) if path.is_dir() else [path]
    folders: dict[str, list[Path]] = {}
    for file in files:
        name = file.parent.relative_to(path).as_posix() if path.is_dir() else "."
        folders.setdefault(name, []).append(file)
    read = {name: _read_run(of_one) for name, of_one in folders.items()}
    found = {name: series for name, series in read.items() if series is not None}
    if not found:
        raise DataError("holds no scalars", where=path, remedy="Name the folder that training was told to log to")
    return found


class _Tracks:
    """The points of each tag, and what the other tags hold."""

    def __init__(self) -> None:
        self.points: dict[str, tuple[array[int], array[float], array[float]]] = {}
        self.plugins: dict[str, str] = {}

    def add(self, step: int, time: float, value: Any) -> None:
        """Take one value of a summary: a scalar by its kind, or a single number whose plugin is not another one."""
        tag = value.tag
        plugin = self.plugins.get(tag)
        if plugin is None:  # said with the first value alone
            self.plugins[tag] = plugin = value.metadata.plugin_data.plugin_name
        number = _scalar(value) if plugin in ("", SCALARS) else None
        if number is None:
            self.plugins[tag] = plugin or "not scalars"
            return
        track = self.points.get(tag)
        if track is None:
            track = self.points[tag] = (array("q"), array("d"), array("d"))
        steps, times, values = track
        steps.append(step)
        times.append(time)
        values.append(number)

    def restart(self, step: int) -> None:
        """Drop what was logged at `step` and after it: training went back to there and logs it again."""
        for tag, columns in self.points.items():
            kept = np.array(columns[0]) < step
            steps, times, values = (np.array(column)[kept] for column in columns)
            self.points[tag] = (array("q", steps), array("d", times), array("d", values))

    def arrays(self) -> dict[str, tuple[Whole, Floats, Floats]]:
        return {tag: (np.array(s), np.array(t), np.array(v)) for tag, (s, t, v) in self.points.items() if len(s)}


def _read_run(files: list[Path]) -> Series | None:
    """The series of the event files of one folder, in the order of their names, which begin with the time."""
    from tensorboard.compat.proto.event_pb2 import SessionLog  # pyright: ignore[reportAttributeAccessIssue]

    tracks, torn = _Tracks(), []
    for file in files:
        for event in _events(file, torn):
            if event.HasField("session_log") and event.session_log.status == SessionLog.START:
                tracks.restart(event.step)
            step, time = event.step, event.wall_time
            for value in event.summary.value:
                tracks.add(step, time, value)
    points = tracks.arrays()
    if not points:
        return None
    others = sorted(tag for tag in tracks.plugins if tag not in tracks.points)
    said = [f"{tag}: {tracks.plugins[tag]}, no numbers to draw" for tag in others]
    return Series(join_points(points), (*torn, *said))


def _events(file: Path, torn: list[str]) -> Iterator[Any]:
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]

    for number, record in enumerate(read_records(file, torn), 1):
        try:
            yield Event.FromString(record)
        except DecodeError as error:
            raise DataError("not an event", where=f"{file}:record {number}", remedy="Name an event file") from error


def _scalar(value: Any) -> float | None:
    """The number in a summary's value; None for what is none."""
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return value.simple_value
    if kind != "tensor" or value.tensor.tensor_shape.dim:
        return None
    if len(value.tensor.float_val) == 1:
        return value.tensor.float_val[0]
    from tensorboard.util.tensor_util import make_ndarray

    numbers = make_ndarray(value.tensor)
    return float(numbers) if np.issubdtype(numbers.dtype, np.number) else None
