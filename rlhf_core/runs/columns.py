"""Follow a metrics file as columns of numbers: a million rows take seconds to read once, and nothing while they stay the same."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import json as arrow_json

from rlhf_core.runs.tail import LineTail

BLOCK = 4 * 1024 * 1024  # bytes that one thread parses at a time


class MetricsTail(LineTail):
    """The rows of a growing metrics file as a frame: `step` whole, everything else float64, NaN where absent or no number."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self._parts: list[pd.DataFrame] = []

    def frame(self) -> pd.DataFrame:
        """Return all complete rows so far, oldest first, one column per metric; changing it changes nothing here."""
        with self._lock:
            self._follow()
            if len(self._parts) > 1:
                self._parts = [pd.concat(self._parts, ignore_index=True)]
            return self._parts[0].copy(deep=False) if self._parts else _frame([])

    def _take(self, lines: bytes) -> None:
        part = _parse(lines)
        self._parts.append(_frame(self._rows(lines)) if part is None else part)

    def _forget(self) -> None:
        self._parts = []


def _parse(lines: bytes) -> pd.DataFrame | None:
    """Return the frame of lines that all hold numbers; None for others, which have to be read one by one."""
    try:
        table = arrow_json.read_json(pa.BufferReader(lines), read_options=arrow_json.ReadOptions(block_size=BLOCK))
    except pa.ArrowInvalid:
        return None
    if (
        not _one_each(lines, table.num_rows)
        or "step" not in table.column_names
        or any(not _numeric(field) for field in table.schema)
    ):
        return None
    columns = {name: table[name].to_numpy() for name in table.column_names}
    if columns["step"].dtype != np.int64:  # fractions, or a row without a step
        return None
    others = {name: values.astype(np.float64, copy=False) for name, values in columns.items() if name != "step"}
    return pd.DataFrame({"step": columns["step"]} | others)


def _one_each(lines: bytes, rows: int) -> bool:
    """Say whether each line is one row: as many rows as lines, and none that is blank or goes on with an earlier one."""
    text = np.frombuffer(lines, np.uint8)
    ends = np.flatnonzero(text == ord("\n"))
    starts = np.append(0, ends[:-1] + 1)
    return rows == len(ends) and bool((text[starts] == ord("{")).all())


def _numeric(field: pa.Field) -> bool:
    return pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_null(field.type)


def _frame(rows: Iterable[dict[str, object]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    if frame.empty:
        return pd.DataFrame({"step": pd.Series(dtype="int64"), "time": pd.Series(dtype="float64")})
    others = [name for name in frame.columns if name != "step"]
    numbers = frame[others].apply(pd.to_numeric, errors="coerce").astype(np.float64)
    return pd.concat([frame[["step"]].astype(np.int64), numbers], axis="columns")
