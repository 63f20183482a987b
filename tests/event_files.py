"""Write TensorBoard event files as the tools of the field do, record by record."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter

Event: Any = event_pb2.Event  # pyright: ignore[reportAttributeAccessIssue]
SessionLog: Any = event_pb2.SessionLog  # pyright: ignore[reportAttributeAccessIssue]
Summary: Any = summary_pb2.Summary  # pyright: ignore[reportAttributeAccessIssue]
Metadata: Any = summary_pb2.SummaryMetadata  # pyright: ignore[reportAttributeAccessIssue]
Tensor: Any = tensor_pb2.TensorProto  # pyright: ignore[reportAttributeAccessIssue]
Shape: Any = tensor_shape_pb2.TensorShapeProto  # pyright: ignore[reportAttributeAccessIssue]
Types: Any = types_pb2


def write_events(folder: Path, events: Iterable[Any]) -> Path:
    """Write one event file and return it."""
    before = set(folder.glob("*tfevents*"))
    writer = EventFileWriter(str(folder))
    for event in events:
        writer.add_event(event)
    writer.close()
    (made,) = set(folder.glob("*tfevents*")) - before
    return made


def simple(step: int, time: float, **values: float) -> Any:
    """An event of plain scalars, as torch writes them; `__` in a name stands for `/`."""
    pairs = [Summary.Value(tag=name.replace("__", "/"), simple_value=value) for name, value in values.items()]
    return Event(step=step, wall_time=time, summary=Summary(value=pairs))


def tensor(step: int, time: float, tag: str, value: float, plugin: str = "scalars") -> Any:
    """An event of one scalar tensor, as TensorFlow 2 and JAX tools write it; the first of a tag names its plugin."""
    about = Metadata(plugin_data=Metadata.PluginData(plugin_name=plugin)) if plugin else None
    number = Tensor(dtype=Types.DT_FLOAT, tensor_shape=Shape(), float_val=[value])
    pair = Summary.Value(tag=tag, tensor=number, metadata=about)
    return Event(step=step, wall_time=time, summary=Summary(value=[pair]))


def restart(step: int, time: float) -> Any:
    """What a writer says that goes on from a checkpoint: everything from `step` on is logged again."""
    return Event(step=step, wall_time=time, session_log=SessionLog(status=SessionLog.START))
