"""What files hold, read again only once they have changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

T = TypeVar("T")
Stamp = tuple[int, int, int]


class KeptFiles:
    """Files that are small enough to be kept, and written whole or not at all."""

    def __init__(self) -> None:
        self._kept: dict[Path, tuple[Stamp, Any]] = {}
        self._lock = Lock()

    def read(self, path: Path, parse: Callable[[Path], T]) -> T:
        """Return what `parse` makes of a file, of its first reading while it stays the same; not to be changed.

        Raises:
            FileNotFoundError: there is no such file. What `parse` raises is not kept.
        """
        found = path.stat()
        stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
        with self._lock:
            if path not in self._kept or self._kept[path][0] != stamp:
                self._kept[path] = (stamp, parse(path))
            return self._kept[path][1]
