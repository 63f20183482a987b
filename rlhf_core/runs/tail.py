"""Follow a JSONL file that another process appends to: only new bytes are read, a torn last line waits."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any

from rlhf_core.data.io import parse_json


class JsonlTail:
    """The rows of one growing JSONL file.

    A last line without its newline is left for the next call. A damaged line is passed over and counted in `damaged`.
    A file that was rewritten (a resumed run drops rows) is noticed by its last line read, and read from the start.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.damaged = 0
        self._rows: list[dict[str, Any]] = []
        self._offset = 0
        self._last = b""
        self._lock = Lock()

    def read(self) -> list[dict[str, Any]]:
        """Return all complete rows so far, oldest first; an empty list while the file is missing."""
        with self._lock:
            try:
                with self.path.open("rb") as file:
                    self._follow(file)
            except (FileNotFoundError, NotADirectoryError):
                self._restart()
            return list(self._rows)

    def _follow(self, file: Any) -> None:
        file.seek(self._offset - len(self._last))
        if file.read(len(self._last)) != self._last:
            self._restart()
            file.seek(0)
        new = file.read()
        complete = new[: new.rfind(b"\n") + 1]
        for line in complete.split(b"\n"):
            self._take(line)
        if complete:
            self._last = complete[complete.rfind(b"\n", 0, -1) + 1 :]
            self._offset += len(complete)

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            row = parse_json(line)
        except ValueError:
            row = None
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            self._rows.append(row)
        else:
            self.damaged += 1

    def _restart(self) -> None:
        self._rows, self.damaged, self._offset, self._last = [], 0, 0, b""
