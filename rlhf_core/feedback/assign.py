"""What a labeller judges next, and in which order its completions are shown. Works inside the store's write transaction."""

from __future__ import annotations

import hashlib
import json
import random
import secrets
from typing import Any

import sqlalchemy as sa

from rlhf_core.feedback.claims import Standing, free_overdue, hold, standing
from rlhf_core.feedback.clock import stamp
from rlhf_core.feedback.frames import in_force
from rlhf_core.feedback.schema import NOT_UNDO, assignments, claims, completions, instructions, items, places, votes

REPEAT_GAP = 5
"""A hidden repeat comes after at least so many other items: nobody shall remember the verdict."""

_TASK, _LABELLER, _ITEM = sa.bindparam("task"), sa.bindparam("who"), sa.bindparam("item")
_MINE = (items.c.task_id == _TASK) & (assignments.c.labeller == _LABELLER)
_GIVEN = assignments.join(items).join(votes, votes.c.assignment_id == assignments.c.id)
_SHOWN = (*assignments.c, items.c.kind)

_ANSWERED = sa.exists().where(votes.c.assignment_id == assignments.c.id, NOT_UNDO)
_LAST_SHOWN = (
    sa.select(assignments.c.id)
    .where(assignments.c.item_id == claims.c.item_id, assignments.c.labeller == _LABELLER, ~assignments.c.repeats)
    .order_by(assignments.c.showing.desc())
    .limit(1)
    .scalar_subquery()
)
_HELD = sa.select(_LAST_SHOWN).where(
    claims.c.task_id == _TASK, claims.c.labeller == _LABELLER, claims.c.state == "held"
)
_REPEATED = sa.select(assignments.c.id).where(assignments.c.labeller == _LABELLER, assignments.c.repeats)
_WAITING = (
    sa.select(*_SHOWN)
    .select_from(assignments.join(items))
    .where(assignments.c.id.in_(_HELD.union_all(_REPEATED)), items.c.task_id == _TASK, ~_ANSWERED)
    .order_by(assignments.c.id.desc())
    .limit(1)
)
_BEGIN = sa.bindparam("begin")
"""Where in the task's shuffled order a labeller begins; each at another place."""
_SEEN = sa.exists().where(claims.c.labeller == _LABELLER)
_GOLD = (
    sa.select(items.c.id)
    .where(items.c.task_id == _TASK, items.c.kind == "gold", ~_SEEN.where(claims.c.item_id == items.c.id))
    .order_by(items.c.number < _BEGIN, items.c.number)
    .limit(1)
)
_ROOM = sa.bindparam("overlap") > places.c.taken
_UNSEEN = (
    sa.select(places.c.item_id, places.c.taken)
    .where(places.c.task_id == _TASK, ~_SEEN.where(claims.c.item_id == places.c.item_id))
    .limit(1)
)
_EMPTIEST = _UNSEEN.where(_ROOM).order_by(places.c.taken, places.c.number)
_AHEAD = _UNSEEN.where(places.c.taken == sa.bindparam("taken"), places.c.number >= _BEGIN).order_by(places.c.number)
_PUT_OFF = (
    sa.select(claims.c.item_id, claims.c.kind)
    .select_from(claims.outerjoin(places, places.c.item_id == claims.c.item_id))
    .where(claims.c.task_id == _TASK, claims.c.labeller == _LABELLER, claims.c.state.in_(("skipped", "lost")))
    .where(_ROOM | places.c.item_id.is_(None))
    .order_by(sa.func.coalesce(claims.c.vote_id, 0), claims.c.item_id)
)
_AGAIN = assignments.alias("again")
_UNREPEATED = ~sa.exists().where(_AGAIN.c.item_id == items.c.id, _AGAIN.c.labeller == _LABELLER, _AGAIN.c.repeats)
_REPEATABLE = (
    sa.select(assignments)
    .select_from(_GIVEN)
    .where(_MINE, items.c.kind == "item", in_force(), votes.c.action == "vote", _UNREPEATED)
    .order_by(votes.c.id)
    .limit(REPEAT_GAP + 1)
)
_LATER = assignments.alias("later")
_SHOWN_AGAIN = sa.exists().where(
    _LATER.c.item_id == assignments.c.item_id,
    _LATER.c.labeller == assignments.c.labeller,
    _LATER.c.repeats == assignments.c.repeats,
    _LATER.c.showing > assignments.c.showing,
)
_LAST_VOTE = (
    sa.select(*_SHOWN, votes.c.id.label("vote_id"))
    .select_from(_GIVEN)
    .where(_MINE, in_force(), ~_SHOWN_AGAIN)
    .order_by(votes.c.id.desc())
    .limit(1)
)
_LAST_SHOWING = (
    sa.select(assignments.c.shown, assignments.c.showing)
    .where(assignments.c.item_id == _ITEM, assignments.c.labeller == _LABELLER)
    .order_by(assignments.c.showing.desc())
    .limit(1)
)
_SIZE = sa.select(sa.func.count()).select_from(completions).where(completions.c.item_id == _ITEM)
_NEWEST = sa.select(sa.func.max(instructions.c.id)).where(instructions.c.task_id == _TASK).scalar_subquery()
_SHOW = sa.insert(assignments).values(instructions_id=_NEWEST).returning(assignments)


def order_shown(seed: int, labeller: str, number: int, size: int) -> str:
    """Return the places of the completions as shown to a labeller in their item `number` (from 0).

    Items come in blocks of `size`; within a block every completion stands in every position once. So of pairs, after
    any number of items, the two sides differ by at most one.
    """
    block, turn = divmod(number, size)
    places = list(range(size))
    random.Random(json.dumps([seed, labeller, block])).shuffle(places)
    return "".join(str(place) for place in places[turn:] + places[:turn])


def next_assignment(
    connection: sa.Connection, task: sa.Row[Any], labeller: str, now: float
) -> tuple[sa.Row[Any], Standing] | None:
    """Return what awaits the labeller's verdict, or assign the next item; None when nothing is left for them.

    A hidden repeat or a gold item when one is due, then fresh items, those with fewest votes first, then skipped ones.
    """
    bound = {"task": task.id, "who": labeller}
    while (waiting := connection.execute(_WAITING, bound).one_or_none()) is not None:
        if waiting.repeats or hold(connection, task, waiting.item_id, waiting.kind, labeller, now):
            return waiting, standing(connection, task, labeller)
    stands = standing(connection, task, labeller)
    if (repeat := _due_repeat(connection, task, labeller, stands)) is not None:
        return show(connection, task, repeat.item_id, labeller, stands, now, repeats=repeat.shown), stands
    item = _due_gold(connection, task, labeller, stands, now) or _fresh(connection, task, labeller, now)
    item = item or _put_off(connection, task, labeller, now)
    return None if item is None else (show(connection, task, item, labeller, stands, now), stands)


def show(
    connection: sa.Connection, task: sa.Row[Any], item_id: int, labeller: str, stands: Standing, now: float,
    repeats: str = "",
) -> sa.Row[Any]:  # fmt: skip
    """Assign an item once more under a new token; it keeps its order, but as a repeat (of what was shown) has the reverse."""
    mine = {"item": item_id, "who": labeller}
    if (last := connection.execute(_LAST_SHOWING, mine).one_or_none()) is None:
        size = connection.execute(_SIZE, mine).scalar_one()
        shown, showing = order_shown(task.seed, labeller, stands.seen, size), 1
    else:
        shown, showing = repeats[::-1] or last.shown, last.showing + 1
    values = {
        "task": task.id,
        "token": secrets.token_urlsafe(16),
        "item_id": item_id,
        "labeller": labeller,
        "showing": showing,
        "repeats": bool(repeats),
        "shown": shown,
        "created_at": stamp(now),
    }
    return connection.execute(_SHOW, values).one()


def last_vote(connection: sa.Connection, task_id: int, labeller: str) -> sa.Row[Any] | None:
    """Return the labeller's last vote in force: its assignment, with the vote's id as `vote_id`.

    A skip whose item has come back since no longer counts: there is nothing left of it to undo.
    """
    return connection.execute(_LAST_VOTE, {"task": task_id, "who": labeller}).one_or_none()


def _due_repeat(connection: sa.Connection, task: sa.Row[Any], labeller: str, stands: Standing) -> sa.Row[Any] | None:
    """The earliest vote that has not been asked for again, when it is time: half an interval after the gold items."""
    judged = stands.judged_items
    if task.repeat_every is None or (judged + task.repeat_every // 2) // task.repeat_every <= stands.repeats:
        return None
    rows = connection.execute(_REPEATABLE, {"task": task.id, "who": labeller}).all()
    return rows[0] if len(rows) > REPEAT_GAP else None


def _due_gold(connection: sa.Connection, task: sa.Row[Any], labeller: str, stands: Standing, now: float) -> int | None:
    if min(stands.judged_items // task.gold_every, task.golds) <= stands.golds:
        return None
    item = connection.execute(_GOLD, _bound(task, labeller)).scalar_one()
    hold(connection, task, item, "gold", labeller, now)
    return item


def _fresh(connection: sa.Connection, task: sa.Row[Any], labeller: str, now: float) -> int | None:
    """One of the items with fewest places taken, held; one that others have just filled is passed over."""
    free_overdue(connection, task.id, now)
    bound = _bound(task, labeller)
    while (emptiest := connection.execute(_EMPTIEST, bound).one_or_none()) is not None:
        ahead = connection.execute(_AHEAD, bound | {"taken": emptiest.taken}).one_or_none()
        item = (ahead or emptiest).item_id
        if hold(connection, task, item, "item", labeller, now):
            return item
    return None


def _put_off(connection: sa.Connection, task: sa.Row[Any], labeller: str, now: float) -> int | None:
    """What the labeller skipped, or lost to others who took it back since; in the order it was put off."""
    rows = connection.execute(_PUT_OFF, _bound(task, labeller)).all()
    return next((row.item_id for row in rows if hold(connection, task, row.item_id, row.kind, labeller, now)), None)


def _bound(task: sa.Row[Any], labeller: str) -> dict[str, Any]:
    drawn = int.from_bytes(hashlib.sha256(json.dumps([task.seed, labeller]).encode("utf-8")).digest()[:4], "big")
    overlap = 2**31 - 1 if task.overlap is None else task.overlap
    return {"task": task.id, "who": labeller, "begin": drawn % task.size, "overlap": overlap}
