"""Who decides about the same thing waits for the other: named locks that end with the transaction."""

from __future__ import annotations

import hashlib
import json

import sqlalchemy as sa

_KEY = sa.bindparam("key", type_=sa.BigInteger)
_LOCK = sa.select(sa.func.pg_advisory_xact_lock(_KEY))
_TRY = sa.select(sa.func.pg_try_advisory_xact_lock(_KEY))


def lock(connection: sa.Connection, *name: str | int) -> None:
    """Wait for this name on PostgreSQL. On SQLite a transaction that writes is alone anyway.

    A transaction locks a labeller before an item, never the other way round: so two cannot wait for each other.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK, {"key": _key(name)})


def try_lock(connection: sa.Connection, *name: str | int) -> bool:
    """Lock this name as `lock` does, but rather than wait for somebody who has it say False."""
    return connection.dialect.name != "postgresql" or connection.execute(_TRY, {"key": _key(name)}).scalar_one()


def _key(name: tuple[str | int, ...]) -> int:
    digest = hashlib.sha256(json.dumps(name).encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
