"""Records of a TensorFlow record file: an 8-byte length, its checksum, the record, its checksum; every checksum is looked at.

TensorBoard's own loaders stop without a word at the first record that is damaged, and all that follows it is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlhf_core.errors import DataError

HEAD, TAIL = 12, 4
PIECE = 4 * 1024 * 1024
"""Bytes of records whose checksums are computed together."""
POLYNOMIAL = 0x82F63B78
"""Castagnoli's, reflected (RFC 3720, B.4)."""


def read_records(path: Path, torn: list[str]) -> Iterator[bytes]:
    """Yield the records of a file.

    A last record that is not whole, as in a file that is still written, is left out and noted in `torn`.

    Raises:
        DataError: a checksum does not match.
    """
    content = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8)
    view, place, count = content.data, 0, 0
    while place < len(content):
        starts = _heads(view, place)
        if not starts:
            torn.append(f"{path.name}: its last record is not whole and was left out")
            return
        lengths = np.array([int.from_bytes(view[at : at + 8], "little") for at in starts])
        heads = np.array(starts, dtype=np.int64)
        damaged = np.flatnonzero(_differ(content, heads, np.full(len(heads), 8)))
        first = int(damaged[0]) if len(damaged) else len(starts)
        broken = np.flatnonzero(_differ(content, heads[:first] + HEAD, lengths[:first]))
        if len(broken) or len(damaged):
            number = int(broken[0]) if len(broken) else first
            raise DataError(
                f"record {count + number + 1} is damaged: its checksum does not match",
                where=f"{path}:byte {starts[number]}",
                remedy="Copy the file again from where it was written",
            )
        for at, length in zip(starts, lengths.tolist(), strict=True):
            yield bytes(view[at + HEAD : at + HEAD + length])
        count, place = count + len(starts), starts[-1] + HEAD + int(lengths[-1]) + TAIL


def masked_checksum(content: bytes) -> int:
    """Return the masked CRC-32C of a record: rotated right by 15 bits, plus 0xa282ead8."""
    data = np.frombuffer(content, np.uint8)
    return int(_checksums(data, np.zeros(1, np.int64), np.array([len(data)]))[0])


def _heads(view: memoryview, place: int) -> list[int]:
    """Where the records of the next piece begin, those that are whole."""
    found, end = [], place + PIECE
    while place + HEAD <= len(view) and place < end:
        behind = place + HEAD + int.from_bytes(view[place : place + 8], "little") + TAIL
        if behind > len(view):
            break
        found.append(place)
        place = behind
    return found


def _differ(content: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say of each stretch whether the four bytes behind it are not its checksum."""
    behind = content[(starts + lengths)[:, None] + np.arange(4)].astype(np.uint32)
    return _checksums(content, starts, lengths) != (behind << np.array([0, 8, 16, 24], np.uint32)).sum(1)


def _checksums(content: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The masked checksums of many stretches: those of one length go through the table together, byte by byte."""
    found = np.zeros(len(starts), np.int64)
    for length in np.unique(lengths):
        same = np.flatnonzero(lengths == length)
        state, at = np.full(len(same), 0xFFFFFFFF, np.uint32), starts[same]
        for offset in range(length):
            state = _TABLE[(state ^ content[at + offset]) & 0xFF] ^ (state >> 8)
        state = (~state).astype(np.int64)
        found[same] = (((state >> 15) | (state << 17)) & 0xFFFFFFFF) + 0xA282EAD8 & 0xFFFFFFFF
    return found


def _table() -> NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(POLYNOMIAL), table >> 1)
    return table


_TABLE = _table()
