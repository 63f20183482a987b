"""Follow a JSONL file that another process appends to: only new bytes are read, a torn last line waits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from rlhf_core.data.io import parse_json

PIECE = 16 * 1024 * 1024  # bytes in memory at once; no line may be longer


class LineTail(ABC):
    """One growing file of JSON lines, each an object with a whole `step`.

    A last line without its newline is left for the next call. A damaged line is passed over and counted in `damaged`.
    A file that was rewritten (a resumed run drops rows) is noticed by its last line read, and read from the start. A file
    that has neither grown nor changed since is not opened.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.damaged = 0
        self.revision = 0
        """Goes up whenever lines are added or forgotten: what was made of the same revision of a file need not be made again."""
        self._offset = 0
        self._last = b""
        self._seen: tuple[int, ...] = ()
        self._lock = Lock()

    @abstractmethod
    def _take(self, lines: bytes) -> None:
        """Add complete lines, and count those that are damaged."""

    @abstractmethod
    def _forget(self) -> None:
        """Drop all lines taken."""

    def _follow(self) -> None:
        """Take what is new in the file; to be called with the lock held."""
        try:
            found = self.path.stat()
            state = (found.st_ino, found.st_size, found.st_mtime_ns)
            if state != self._seen:
                with self.path.open("rb") as file:
                    self._read_on(file)
                self._seen = state
        except (FileNotFoundError, NotADirectoryError):
            self._restart()

    def _read_on(self, file: BinaryIO) -> None:
        file.seek(self._offset - len(self._last))
        if file.read(len(self._last)) != self._last:
            self._restart()
            file.seek(0)
        while end := (piece := file.read(PIECE)).rfind(b"\n") + 1:
            lines = piece if end == len(piece) else piece[:end]
            self._take(lines)
            self._last = lines[lines.rfind(b"\n", 0, -1) + 1 :]
            self._offset += len(lines)
            self.revision += 1
            file.seek(self._offset)  # to the start of the line that was cut off

    def _rows(self, lines: bytes) -> list[dict[str, Any]]:
        """Return the rows of complete lines, one line at a time, and count those that are none."""
        rows = [_row(line) for line in lines.split(b"\n") if line.strip()]
        whole = [row for row in rows if row is not None]
        self.damaged += len(rows) - len(whole)
        return whole

    def _restart(self) -> None:
        if self._offset:
            self.revision += 1
        self.damaged, self._offset, self._last, self._seen = 0, 0, b"", ()
        self._forget()


class JsonlTail(LineTail):
    """The rows of a growing file, as dictionaries."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self._kept: list[dict[str, Any]] = []

    def read(self) -> list[dict[str, Any]]:
        """Return all complete rows so far, oldest first; an empty list while the file is missing."""
        with self._lock:
            self._follow()
            return list(self._kept)

    def _take(self, lines: bytes) -> None:
        self._kept += self._rows(lines)

    def _forget(self) -> None:
        self._kept = []


def _row(line: bytes) -> dict[str, Any] | None:
    """The object of a line; None when it is damaged or has no step."""
    try:
        row = parse_json(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("step"), int) else None
