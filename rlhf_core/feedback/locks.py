"""Who decides about the same thing waits for the other: named locks that end with the transaction."""

from __future__ import annotations

import hashlib
import json

import sqlalchemy as sa

_LOCK = sa.select(sa.func.pg_advisory_xact_lock(sa.bindparam("key", type_=sa.BigInteger)))


def lock(connection: sa.Connection, *name: str | int) -> None:
    """Wait for this name on PostgreSQL. On SQLite a transaction that writes is alone anyway.

    A transaction locks a labeller before an item, never the other way round: so two cannot wait for each other.
    """
    if connection.dialect.name == "postgresql":
        digest = hashlib.sha256(json.dumps(name).encode("utf-8")).digest()
        connection.execute(_LOCK, {"key": int.from_bytes(digest[:8], "big", signed=True)})
