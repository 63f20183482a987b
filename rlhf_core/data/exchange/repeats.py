"""Rows that repeat an earlier one, found and taken out of a file in little memory however many they are."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

import numpy as np

PART = 1_000_000
"""Digests that are sorted at once."""
SIZE = 8  # bytes of a digest


class Repeats:
    """Digests of the lines of a file, in their order; they wait on disk until all are there."""

    def __init__(self) -> None:
        self._digests = TemporaryFile()  # noqa: SIM115
        self._count = 0

    def add(self, digests: Iterable[bytes]) -> None:
        """Add the digests of the next lines, 8 bytes each."""
        content = b"".join(digests)
        self._digests.write(content)
        self._count += len(content) // SIZE

    def close(self) -> None:
        """Let the digests go."""
        self._digests.close()

    def take_out(self, file: BinaryIO) -> int:
        """Take out of a file every line whose digest came before; return how many that were."""
        file.flush()
        again = self._again()
        if not again.any():
            return 0
        with Path(file.name).open("rb") as lines:
            file.seek(0)
            for line, repeats in zip(lines, again, strict=True):
                if not repeats:
                    file.write(line)  # never beyond what was read: the file only shrinks
            file.truncate()
        return int(again.sum())

    def _again(self) -> np.ndarray:
        """Return of each line whether an equal digest came before, a part of all digests at a time."""
        again = np.zeros(self._count, dtype=bool)
        parts = -(-self._count // PART)
        for part in range(parts):
            places, digests = self._part(part, parts)
            order = np.argsort(digests, kind="stable")
            same = digests[order][1:] == digests[order][:-1]
            again[places[order][1:][same]] = True
        return again

    def _part(self, part: int, parts: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (places, digests) of those that fall into one part."""
        self._digests.seek(0)
        places, digests = [], []
        chunks = iter(lambda: self._digests.read(PART * SIZE), b"")
        for start, chunk in zip(range(0, self._count, PART), chunks, strict=True):
            some = np.frombuffer(chunk, dtype="<u8")
            mine = np.flatnonzero(some % np.uint64(parts) == part)
            places.append(mine + start)
            digests.append(some[mine])
        return np.concatenate(places), np.concatenate(digests)
