"""Fifty labellers at once, on both databases: the benchmark of docs/LOG.md, shorter."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.voting import LIMIT, measure
from tests.postgres import running_server

SECONDS = 20


def assert_sound(url: str) -> None:
    load = measure(url, labellers=50, seconds=SECONDS)
    assert (load.lost, load.doubled, load.exceeded) == (0, 0, 0), load
    assert load.acknowledged == load.stored > 10 * SECONDS, load
    assert load.p95 <= LIMIT, load


@pytest.mark.slow
def test_fifty_labellers_on_sqlite(tmp_path: Path):
    assert_sound(str(tmp_path / "votes.db"))


@pytest.mark.slow
def test_fifty_labellers_on_postgresql():
    with running_server() as server:
        assert_sound(server.database())
