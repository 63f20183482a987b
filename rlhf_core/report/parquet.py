"""Tables as Parquet: one type a column, texts as they are, the same bytes for the same rows."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def to_parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return rows as a Parquet file, the columns in order of first appearance; a missing value is null.

    A column is of yes/no, whole numbers, numbers or text; whole numbers and others together are numbers, any other mixture and
    what has parts is text (JSON where it is no text).
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    arrays = [_array([row.get(name) for row in rows]) for name in columns]
    buffer = io.BytesIO()
    pq.write_table(pa.table(arrays, names=columns), buffer, compression="zstd", store_schema=False)
    return buffer.getvalue()


def _array(values: Sequence[Any]) -> pa.Array:
    plain = [_scalar(value) for value in values]
    kinds = {type(value) for value in plain if value is not None}
    if kinds == {bool}:
        return pa.array(plain, pa.bool_())
    if kinds == {int}:
        return pa.array(plain, pa.int64())
    if kinds and kinds <= {int, float}:
        return pa.array([None if value is None else float(value) for value in plain], pa.float64())
    return pa.array(
        [value if value is None or isinstance(value, str) else json.dumps(value) for value in plain], pa.string()
    )


def _scalar(value: Any) -> Any:
    """Return a number of numpy's as Python's, all else as it is."""
    return value.item() if hasattr(value, "item") else value
