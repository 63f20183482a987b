"""Who holds or has judged an item: what keeps the overlap. Works inside the store's write transaction.

A labeller who is shown an item holds it for half an hour, and longer while it is on the screen; a verdict makes the claim
last. The judged and the held together never exceed the task's overlap. Gold items and repeats are for everybody.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from rlhf_core.feedback.schema import claims

HOLD_SECONDS = 1800.0


def taken(now: float) -> sa.ColumnElement[bool]:
    """Return the condition that a row of `claims` takes one of the item's places."""
    return (claims.c.state == "judged") | ((claims.c.state == "held") & (claims.c.until > now))


def claim_of(connection: sa.Connection, item_id: int, labeller: str) -> sa.Row[Any] | None:
    """Return the labeller's claim on an item."""
    return connection.execute(sa.select(claims).where(_of(item_id, labeller))).one_or_none()


def hold(connection: sa.Connection, task: sa.Row[Any], item: sa.Row[Any], labeller: str, now: float) -> bool:
    """Keep an item for a labeller from now on; False, and the claim is lost, when others have taken every place."""
    state = "held" if has_room(connection, task, item, labeller, now) else "lost"
    settle(connection, item.id, labeller, state, until=now + HOLD_SECONDS)
    return state == "held"


def has_room(connection: sa.Connection, task: sa.Row[Any], item: sa.Row[Any], labeller: str, now: float) -> bool:
    """Say whether the labeller may judge the item without exceeding the overlap."""
    if task.overlap is None or item.kind == "gold":
        return True
    others = sa.select(sa.func.count()).where(claims.c.item_id == item.id, claims.c.labeller != labeller, taken(now))
    return connection.execute(others).scalar_one() < task.overlap


def settle(
    connection: sa.Connection,
    item_id: int,
    labeller: str,
    state: str,
    *,
    until: float = 0.0,
    vote_id: int | None = None,
) -> None:
    """Set what has become of a labeller's claim."""
    values = {"state": state, "until": until, "vote_id": vote_id}
    changed = connection.execute(sa.update(claims).where(_of(item_id, labeller)).values(values))
    if not changed.rowcount:
        connection.execute(sa.insert(claims).values(item_id=item_id, labeller=labeller, **values))


def _of(item_id: int, labeller: str) -> sa.ColumnElement[bool]:
    return (claims.c.item_id == item_id) & (claims.c.labeller == labeller)
