"""Parquet: one type a column, nothing lost, no formula's apostrophe, the same bytes each time."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from rlhf_core.report.exports import csv_tables, report_files
from rlhf_core.report.facts import build_facts
from rlhf_core.report.parquet import to_parquet
from rlhf_core.report.tables import tables
from tests.hostile import hostile_texts
from tests.run_factory import vote_frame, write_run


def read(content: bytes) -> Any:
    return pq.read_table(io.BytesIO(content))


@pytest.mark.parametrize(
    ("values", "kind", "back"),
    [
        ([True, None], "bool", [True, None]),
        ([1, None, 2], "int64", [1, None, 2]),
        ([1, 2.5, None], "double", [1.0, 2.5, None]),
        ([np.float64(0.5), np.int64(2)], "double", [0.5, 2.0]),
        (["a", None], "string", ["a", None]),
        (["a", 1], "string", ["a", "1"]),
        ([["a", "b"], None], "string", ['["a", "b"]', None]),
        ([None, None], "string", [None, None]),
    ],
)
def test_a_column_has_one_type(values: list[Any], kind: str, back: list[Any]):
    table = read(to_parquet([{"x": value} for value in values]))
    assert str(table.schema.field("x").type) == kind and table.column("x").to_pylist() == back


def test_columns_are_the_union_in_order():
    table = read(to_parquet([{"a": 1}, {"b": "x", "a": None}]))
    assert table.column_names == ["a", "b"] and table.to_pylist() == [{"a": 1, "b": None}, {"a": None, "b": "x"}]


def test_every_table_of_csv_is_there_with_the_same_rows(tmp_path: Path):
    facts = build_facts(write_run(tmp_path / "demo", votes="simulated", refusals=True), vote_frame())
    files = report_files(facts, ["parquet"])
    assert {Path(name).stem for name in files} == {Path(name).stem for name in csv_tables(facts)}
    for name, rows in tables(facts).items():
        found = read(files[f"parquet/{name}.parquet"])
        assert found.num_rows == len(rows) and set(found.column_names) == {key for row in rows for key in row}


def test_texts_are_as_they_were():
    texts = [one.text for one in hostile_texts()]
    assert read(to_parquet([{"text": text} for text in texts])).column("text").to_pylist() == texts
