"""How the vote store's database is opened: SQLite (WAL, one writer at a time) or PostgreSQL, brought to today's schema."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError

from rlhf_core.errors import VoteError
from rlhf_core.feedback.schema import REVISION, metadata
from rlhf_core.passwords import IN_THE_ENVIRONMENT, without_password

BUSY_MS = 30_000
VERSION_TABLE = "vote_store_revision"
SQLITE_VERSION = 2  # PRAGMA user_version: 1 is a store from before migrations
MIGRATING = 7_261_948  # key of PostgreSQL's advisory lock
TRY_AGAIN = "Check the disk and its permissions, or the server, or wait for the other writer; then try again"
EXPECTED = "Expected a path, sqlite:///path or postgresql://user@host/database"


class Database:
    """An open database, its tables at today's schema.

    Raises:
        VoteError: neither SQLite nor PostgreSQL, not a vote store, one of a later version, or nobody answers.
    """

    def __init__(self, url_or_path: str | Path) -> None:
        url = _checked_url(url_or_path)
        self._on_sqlite = url.get_backend_name() == "sqlite"
        self._engine = _sqlite_engine(url) if self._on_sqlite else _postgresql_engine(url)
        self._turn = Lock()
        try:
            with self.write() as connection:
                _bring_up_to_date(connection, self.name)
        except VoteError:
            self.close()
            raise
        except DatabaseError as error:
            self.close()
            raise VoteError(
                f"cannot be opened as a vote store: {error.orig}",
                where=self.name,
                remedy="Give another path, or move the file away to start a new store",
            ) from error

    @property
    def name(self) -> str:
        """The path or URL, its password left out."""
        url = self._engine.url
        return str(url.database) if self._on_sqlite else without_password(url.render_as_string(hide_password=False))

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Begin a transaction that only reads."""
        with self._engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Begin a transaction that writes; on SQLite it holds the write lock from its first statement.

        Raises:
            VoteError: another writer kept the lock too long, the disk is full, or the database cannot be written or
                reached.
        """
        try:
            with self._in_turn(), self._engine.execution_options(writes=True).begin() as connection:
                yield connection
        except OperationalError as error:
            said = " ".join(str(error.orig).split())
            unknown = not self._on_sqlite and "password" in said
            raise VoteError(
                f"the vote store cannot be written: {said}; nothing was recorded",
                where=self.name,
                remedy=IN_THE_ENVIRONMENT if unknown else TRY_AGAIN,
            ) from error

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Let the threads of this process write one after another: SQLite's own wait is a lottery that some lose for long."""
        if not self._on_sqlite:
            yield
            return
        if not self._turn.acquire(timeout=BUSY_MS / 1000):
            raise VoteError("the vote store is busy; nothing was recorded", where=self.name, remedy="Try again")
        try:
            yield
        finally:
            self._turn.release()


def _checked_url(url_or_path: str | Path) -> URL:
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        return URL.create("sqlite", database=str(url_or_path))
    try:
        url = make_url(url_or_path)
    except (ArgumentError, ValueError) as error:
        raise VoteError("not a database URL", value=url_or_path, remedy=EXPECTED) from error
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise VoteError("votes are kept in SQLite or PostgreSQL", value=url.drivername, remedy=EXPECTED)
    if url.get_backend_name() == "postgresql" and url_or_path.count("@") > 1:
        raise VoteError("holds more than one @", where=url_or_path, remedy="Write an @ in a name or password as %40")
    return url


def _sqlite_engine(url: URL) -> sa.Engine:
    folder = Path(url.database or "").parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VoteError(
            f"no folder for the votes: {error.strerror}", where=folder, remedy="Give a path in a folder you can write"
        ) from error
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_MS / 1000})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where `_begin_sqlite` says, not where the driver guesses
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_mode = WAL")


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql_engine(url: URL) -> sa.Engine:
    return sa.create_engine(url.set(drivername="postgresql+psycopg"), pool_size=10, pool_pre_ping=True)


def _bring_up_to_date(connection: sa.Connection, name: str) -> None:
    on_sqlite = connection.dialect.name == "sqlite"
    if not on_sqlite:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATING)))
    tables = set(sa.inspect(connection).get_table_names())
    found = _revision(connection) if VERSION_TABLE in tables else None
    if found == REVISION:
        return
    old = on_sqlite and connection.exec_driver_sql("PRAGMA user_version").scalar_one() == 1
    if found is None and not old and (tables if on_sqlite else tables & set(metadata.tables)):
        raise VoteError("not a vote store", where=name, remedy="Give another path or database")
    from rlhf_core.feedback.migrations import upgrade

    upgrade(connection, VERSION_TABLE, "0001" if old and found is None else found)
    if on_sqlite:
        connection.exec_driver_sql(f"PRAGMA user_version = {SQLITE_VERSION}")


def _revision(connection: sa.Connection) -> str | None:
    return connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar_one_or_none()
