"""A vote store of its own for each test, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rlhf_core.feedback.store import VoteStore
from tests.postgres import Server, running_server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'votes.db'}"
    return request.getfixturevalue("postgresql").database()


@pytest.fixture
def store(url: str) -> Iterator[VoteStore]:
    with closing(VoteStore(url)) as opened:
        yield opened
