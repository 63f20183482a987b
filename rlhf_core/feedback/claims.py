"""Who holds or has judged an item: what keeps the overlap. Works inside the store's write transaction.

A labeller who is shown an item holds it for half an hour, and longer while it is on the screen; a verdict makes the claim
last. The judged and the held together never exceed the task's overlap. Gold items and repeats are for everybody.

A hold that ran out is struck (`until` 0) by whoever looks for an item next: it takes no place from then on, wherever the
clock goes. So what is taken follows from the claims alone. `places` has it counted, anew with every change of a claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from rlhf_core.feedback.frames import in_force
from rlhf_core.feedback.locks import lock, try_lock
from rlhf_core.feedback.schema import assignments, claims, items, places, votes

HOLD_SECONDS = 1800.0

_NOW, _ITEM, _LABELLER, _TASK = (sa.bindparam(name) for name in ("now", "item", "who", "task"))
_JUDGED, _HELD = claims.c.state == "judged", (claims.c.state == "held") & (claims.c.until > 0)
_TAKES = _JUDGED | _HELD
"""Whether a claim takes one of its item's places."""
_RAN_OUT = _HELD & (claims.c.until <= _NOW)
_OVERDUE = sa.select(claims.c.item_id).where(claims.c.task_id == _TASK, _RAN_OUT).distinct()
_STRIKE = sa.update(claims).where(claims.c.item_id == _ITEM, _RAN_OUT).values(until=0.0)
_TAKEN = sa.select(sa.func.count()).where(claims.c.item_id == places.c.item_id, _TAKES).scalar_subquery()
_COUNT = sa.update(places).where(places.c.item_id == _ITEM).values(taken=_TAKEN)
_MINE = (claims.c.item_id == _ITEM) & (claims.c.labeller == _LABELLER)
_CLAIM = sa.select(claims).where(_MINE)
_SETTLE = sa.update(claims).where(_MINE)
_CLAIM_ANEW = sa.insert(claims)
_OTHERS = sa.select(sa.func.count()).where(claims.c.item_id == _ITEM, claims.c.labeller != _LABELLER, _TAKES)
_GOLD = claims.c.kind == "gold"
_STANDING = (
    sa.select(
        sa.func.count().label("seen"),
        sa.func.count().filter(_JUDGED).label("judged"),
        sa.func.count().filter(_JUDGED & ~_GOLD).label("judged_items"),
        sa.func.count().filter(_GOLD).label("golds"),
    )
    .select_from(claims)
    .where(claims.c.task_id == _TASK, claims.c.labeller == _LABELLER)
)
_REPEATS = (
    sa.select(sa.func.count(assignments.c.item_id.distinct()).label("given"), sa.func.count(votes.c.id).label("judged"))
    .select_from(
        assignments.join(items).outerjoin(
            votes, (votes.c.assignment_id == assignments.c.id) & (votes.c.action == "vote") & in_force()
        )
    )
    .where(items.c.task_id == _TASK, assignments.c.labeller == _LABELLER, assignments.c.repeats)
)


@dataclass(frozen=True)
class Standing:
    """How far a labeller is in a task.

    Attributes:
        seen: items ever shown to them; golds: the gold ones among these; repeats: items shown to them once more.
        judged_items: ordinary items judged; done: everything judged, gold items and repeats too.
    """

    seen: int
    golds: int
    repeats: int
    judged_items: int
    done: int


def standing(connection: sa.Connection, task: sa.Row[Any], labeller: str) -> Standing:
    """Return how far a labeller is."""
    bound = {"task": task.id, "who": labeller}
    row = connection.execute(_STANDING, bound).one()
    repeats, judged = connection.execute(_REPEATS, bound).one() if task.repeat_every else (0, 0)
    return Standing(row.seen, row.golds, repeats, row.judged_items, row.judged + judged)


def claim_of(connection: sa.Connection, item_id: int, labeller: str) -> sa.Row[Any] | None:
    """Return the labeller's claim on an item."""
    return connection.execute(_CLAIM, {"item": item_id, "who": labeller}).one_or_none()


def hold(connection: sa.Connection, task: sa.Row[Any], item_id: int, kind: str, labeller: str, now: float) -> bool:
    """Keep an item for a labeller from now on; False, and the claim is lost, when others have taken every place."""
    lock(connection, "item", item_id)
    connection.execute(_STRIKE, {"item": item_id, "now": now})
    state = "held" if has_room(connection, task, item_id, kind, labeller) else "lost"
    if not settle(connection, item_id, labeller, state, until=now + HOLD_SECONDS) and state == "held":
        new = {"item_id": item_id, "labeller": labeller, "task_id": task.id, "kind": kind}
        connection.execute(_CLAIM_ANEW, new | {"state": state, "until": now + HOLD_SECONDS})
        connection.execute(_COUNT, {"item": item_id})
    return state == "held"


def has_room(connection: sa.Connection, task: sa.Row[Any], item_id: int, kind: str, labeller: str) -> bool:
    """Say whether the labeller may judge the item without exceeding the overlap."""
    if task.overlap is None or kind == "gold":
        return True
    return connection.execute(_OTHERS, {"item": item_id, "who": labeller}).scalar_one() < task.overlap


def free_overdue(connection: sa.Connection, task_id: int, now: float) -> None:
    """Strike a task's holds that ran out; an item that somebody is deciding about right now is left for the next time."""
    for item_id in connection.scalars(_OVERDUE, {"task": task_id, "now": now}).all():
        if try_lock(connection, "item", item_id):
            connection.execute(_STRIKE, {"item": item_id, "now": now})
            connection.execute(_COUNT, {"item": item_id})


def settle(
    connection: sa.Connection,
    item_id: int,
    labeller: str,
    state: str,
    *,
    until: float = 0.0,
    vote_id: int | None = None,
) -> bool:
    """Set what has become of a labeller's claim; False when there is none."""
    values = {"state": state, "until": until, "vote_id": vote_id}
    found = connection.execute(_SETTLE, {"item": item_id, "who": labeller, **values}).rowcount > 0
    connection.execute(_COUNT, {"item": item_id})
    return found
