"""The vote store's tables, and how its SQLite file is opened: WAL, one writer at a time, append-only."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError

from rlhf_core.errors import VoteError

VERSION = 1
BUSY_MS = 30_000
APPEND_ONLY = ("assignments", "votes")

metadata = sa.MetaData()

tasks = sa.Table(
    "tasks",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("fingerprint", sa.String, nullable=False, unique=True),
    sa.Column("run_name", sa.String, nullable=False),
    sa.Column("baseline", sa.String, nullable=False),
    sa.Column("contender", sa.String, nullable=False),
    sa.Column("instructions", sa.String, nullable=False),
    sa.Column("instruction_version", sa.String, nullable=False),
    sa.Column("seed", sa.Integer, nullable=False),
    sa.Column("identical", sa.Integer, nullable=False),
    sa.Column("unmatched", sa.Integer, nullable=False),
    sa.Column("leaks", sa.Integer, nullable=False),
    sa.Column("created_at", sa.String, nullable=False),
)

items = sa.Table(
    "items",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("task_id", sa.ForeignKey("tasks.id"), nullable=False),
    sa.Column("prompt_id", sa.String, nullable=False),
    sa.Column("prompt", sa.String, nullable=False),
    sa.Column("category", sa.String, nullable=False),
    sa.Column("baseline_text", sa.String, nullable=False),
    sa.Column("contender_text", sa.String, nullable=False),
    sa.UniqueConstraint("task_id", "prompt_id"),
)

assignments = sa.Table(
    "assignments",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("token", sa.String, nullable=False, unique=True),
    sa.Column("item_id", sa.ForeignKey("items.id"), nullable=False),
    sa.Column("labeller", sa.String, nullable=False),
    sa.Column("showing", sa.Integer, nullable=False),  # 1, then one more each time a skip or an undo brings it back
    sa.Column("contender_side", sa.String, sa.CheckConstraint("contender_side IN ('a', 'b')"), nullable=False),
    sa.Column("created_at", sa.String, nullable=False),
    sa.UniqueConstraint("item_id", "labeller", "showing"),
)

votes = sa.Table(
    "votes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("assignment_id", sa.ForeignKey("assignments.id"), nullable=False),
    sa.Column(
        "verdict",
        sa.String,
        sa.CheckConstraint("verdict IN ('a', 'b', 'tie', 'both_bad', 'skip', 'undo')"),
        nullable=False,
    ),
    sa.Column("supersedes", sa.ForeignKey("votes.id"), unique=True),
    sa.Column("reading_seconds", sa.Float, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("simulated", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.String, nullable=False),
    sa.CheckConstraint("(verdict = 'undo') = (supersedes IS NOT NULL)"),
    sqlite_autoincrement=True,
)
sa.Index("one_vote_per_token", votes.c.assignment_id, unique=True, sqlite_where=votes.c.verdict != "undo")


def open_engine(url_or_path: str | Path) -> sa.Engine:
    """Open the SQLite file, making it and its tables when they are missing.

    Raises:
        VoteError: not SQLite, not a vote store, or one of another version.
    """
    url = _sqlite_url(url_or_path)
    _make_folder(url)
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_MS / 1000})
    event.listen(engine, "connect", _set_up_connection)
    event.listen(engine, "begin", _begin)
    try:
        with write(engine) as connection:
            _create_tables(connection, url.database)
    except VoteError:
        engine.dispose()
        raise
    except DatabaseError as error:
        engine.dispose()
        raise VoteError(
            f"cannot be opened as a vote store: {error.orig}",
            where=url.database,
            remedy="Give another path, or move the file away to start a new store",
        ) from error
    return engine


@contextmanager
def write(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Begin a transaction that holds the write lock from its first statement.

    Raises:
        VoteError: another writer kept the lock too long, the disk is full, or the file cannot be written.
    """
    try:
        with engine.execution_options(writes=True).begin() as connection:
            yield connection
    except OperationalError as error:
        raise VoteError(
            f"the vote store cannot be written: {error.orig}; nothing was recorded",
            where=engine.url.database,
            remedy="Check the disk and its permissions, or wait for the other writer; then try again",
        ) from error


def _sqlite_url(url_or_path: str | Path) -> URL:
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        return URL.create("sqlite", database=str(url_or_path))
    try:
        url = make_url(url_or_path)
    except ArgumentError as error:
        raise VoteError("not a database URL", value=url_or_path, remedy="Expected a path or sqlite:///path") from error
    if url.get_backend_name() != "sqlite":
        raise VoteError("votes are kept in SQLite", value=url.drivername, remedy="Expected a path or sqlite:///path")
    return url


def _make_folder(url: URL) -> None:
    folder = Path(url.database or "").parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VoteError(
            f"no folder for the votes: {error.strerror}", where=folder, remedy="Give a path in a folder you can write"
        ) from error


def _set_up_connection(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where `_begin` says, not where the driver guesses
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_mode = WAL")


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _create_tables(connection: sa.Connection, where: object) -> None:
    found = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if found == VERSION:
        return
    if found or sa.inspect(connection).get_table_names():
        raise VoteError("not a vote store of this version", where=where, value=found, remedy=f"Expected {VERSION}")
    metadata.create_all(connection)
    for table in APPEND_ONLY:
        for change in ("UPDATE", "DELETE"):
            connection.exec_driver_sql(
                f"CREATE TRIGGER {table}_refuse_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"
            )
    connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")
