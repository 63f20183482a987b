"""A vote store of its own for each test, on SQLite and on PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rlhf_core.feedback.store import VoteStore
from tests.clock import START, Clock
from tests.postgres import Server, running_server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_with_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "votes.db"
    VoteStore(path).close()
    return path


@pytest.fixture(scope="session")
def postgresql_with_tables(postgresql: Server) -> str:
    url = postgresql.database()
    VoteStore(url).close()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with all tables and nothing in them: a copy of one, which is quicker than making them."""
    with_tables = request.getfixturevalue(f"{request.param}_with_tables")
    if request.param == "sqlite":
        return f"sqlite:///{shutil.copy(with_tables, tmp_path)}"
    return request.getfixturevalue("postgresql").database(like=with_tables)


@pytest.fixture
def store(url: str) -> Iterator[VoteStore]:
    with closing(VoteStore(url)) as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def timed(url: str, clock: Clock) -> Iterator[VoteStore]:
    """The store with a clock that the test turns."""
    with closing(VoteStore(url, clock)) as opened:
        yield opened
