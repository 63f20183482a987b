"""Files as what they hold, packed with gzip or not."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import BinaryIO

from rlhf_core.data.io import BOM, GZIP
from rlhf_core.errors import DataError


def is_packed(path: Path) -> bool:
    """Say whether a file begins as gzip files do."""
    with path.open("rb") as file:
        return file.read(len(GZIP)) == GZIP


def beginning(path: Path, size: int = 65536) -> bytes:
    """Return the first bytes of what a file holds; of a damaged gzip file, nothing."""
    try:
        with _open(path) as file:
            return file.read(size).removeprefix(BOM)
    except (EOFError, OSError, zlib.error):
        return b""


def read_bytes(path: Path) -> bytes:
    """Return what a file holds, without a byte-order mark.

    Raises:
        DataError: missing, or not a whole gzip file.
    """
    try:
        with _open(path) as file:
            return file.read().removeprefix(BOM)
    except FileNotFoundError as error:
        raise DataError("no such file", where=path, remedy="Check the path") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"not a whole gzip file: {error}", where=path, remedy="Fetch it again") from error


def _open(path: Path) -> BinaryIO:
    packed = is_packed(path)
    return io.BufferedReader(gzip.GzipFile(path)) if packed else path.open("rb")  # pyright: ignore[reportArgumentType]
