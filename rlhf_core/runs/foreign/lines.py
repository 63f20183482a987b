"""A frame of metrics as the lines of `metrics.jsonl`, made column by column."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute

pc: Any = pyarrow.compute  # makes its functions as it is imported
ROWS = 50_000
"""Rows in memory as text at once."""


def metric_lines(rows: pd.DataFrame) -> Iterator[bytes]:
    """Yield the rows as JSON lines, some thousands at a time: `step` first; a value that is no finite number is left out.

    Every number reads back to the same 64 bits.
    """
    for start in range(0, len(rows), ROWS):
        yield _lines(rows.iloc[start : start + ROWS])


def _lines(rows: pd.DataFrame) -> bytes:
    parts: list[pa.Scalar | pa.Array] = [
        pa.scalar('{"step": '),
        pc.cast(pa.array(rows["step"].to_numpy()), pa.string()),
    ]
    for name in rows.columns.drop("step"):
        values = rows[name].to_numpy(dtype=np.float64)
        text = pc.cast(pa.array(values, mask=~np.isfinite(values)), pa.string())
        parts.append(pc.binary_join_element_wise(pa.scalar(f", {json.dumps(name, ensure_ascii=False)}: "), text, ""))
    lines = pc.binary_join_element_wise(*parts, pa.scalar("}\n"), "", null_handling="skip")
    size = pc.sum(pc.binary_length(lines)).as_py()
    return lines.buffers()[2][:size].to_pybytes()
