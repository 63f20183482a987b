"""The rows of one stage on their way to one tracker, in a thread of their own: training waits for none of it.

`tracked-<name>.json` in the stage's folder holds how many rows of `metrics.jsonl` were sent, and under which id. A stage that
goes on from a checkpoint logs the rows after it again, the same ones; those that were sent are passed over. Rows are counted
before they are sent: where a process is killed in between, one is missing, and none is there twice.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from rlhf_core.runs.sinks.sink import Sink

PATIENCE = 20.0
"""Seconds that the end of a stage waits for a tracker to take what is left."""
Row = Mapping[str, Any]


def say_on_terminal(what: str) -> None:
    """Print a line to the terminal, and so to the log of a run that was started from the dashboard."""
    print(what, file=sys.stderr, flush=True)


class Feed:
    """Sends each row to one tracker. A tracker that fails is said once, and left for the rest of the stage."""

    def __init__(
        self, name: str, open_sink: Callable[[str], Sink], folder: Path, say: Callable[[str], None] = say_on_terminal
    ) -> None:
        self.name, self.folder, self._tell = name, folder, say
        self._open, self._path = open_sink, folder / f"tracked-{name}.json"
        self._queue: SimpleQueue[Row | None] = SimpleQueue()
        self._thread: Thread | None = None

    def begin(self, rows: int) -> None:
        """Start to send; the stage's file holds `rows` rows, of which those not sent yet are sent first."""
        self._thread = Thread(target=self._work, args=(rows,), name=f"feed-{self.name}", daemon=True)
        self._thread.start()

    def put(self, row: Row) -> None:
        """Hand over the next row of the stage's file."""
        self._queue.put(row)

    def close(self) -> None:
        """Wait until the tracker has what is left, but not longer than it deserves."""
        if self._thread is None:
            return
        self._queue.put(None)
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            self._say(f"has not taken all rows after {PATIENCE:.0f} s and is left to itself")
        self._thread = None

    def _work(self, rows: int) -> None:
        kept = self._kept()
        sent = kept["rows"]
        try:
            sink = self._open(kept["id"])
            for number, row in self._numbered(rows, sent):
                self._keep(sink.id, number)
                sent = number - 1  # until the tracker has it
                sink.log(row["step"], row["time"], _numbers(row))
                sent = number
            sink.close()
        except Exception as error:
            self._keep(self._kept()["id"], sent)
            self._say(f"{' '.join(str(error).split()) or type(error).__name__}")

    def _numbered(self, rows: int, sent: int) -> Iterator[tuple[int, Row]]:
        """The rows to send with their numbers in the stage's file, from 1: those missed, then those that come."""
        if sent < rows:
            with (self.folder / "metrics.jsonl").open("rb") as file:
                for number, line in enumerate(islice(file, sent, rows), sent + 1):
                    yield number, json.loads(line)
        for number, row in enumerate(iter(self._queue.get, None), rows + 1):
            if number > sent:
                yield number, row

    def _kept(self) -> dict[str, Any]:
        """The id and the rows sent, of an earlier process or of this one."""
        try:
            return {"id": "", "rows": 0} | json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {"id": "", "rows": 0}

    def _keep(self, id: str, rows: int) -> None:
        """Write aside and rename, without waiting for the disk: it happens for every row."""
        aside = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        self.folder.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps({"id": id, "rows": rows}), encoding="utf-8")
        aside.replace(self._path)

    def _say(self, what: str) -> None:
        self._tell(f"warning: {self.name}: {what.rstrip('.')}. Training goes on without it")


def _numbers(row: Row) -> dict[str, float]:
    """The metrics of a row that have a number; NaN was written as null."""
    return {name: float(value) for name, value in row.items() if name not in ("step", "time") and value is not None}
