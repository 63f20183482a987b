"""What a labeller judges next, and in which order its completions are shown. Works inside the store's write transaction."""

from __future__ import annotations

import hashlib
import json
import random
import secrets
from typing import Any

import sqlalchemy as sa

from rlhf_core.feedback.claims import has_room, hold, taken
from rlhf_core.feedback.clock import stamp
from rlhf_core.feedback.frames import in_force
from rlhf_core.feedback.schema import assignments, claims, completions, instructions, items, votes

REPEAT_GAP = 5
"""A hidden repeat comes after at least so many other items: nobody shall remember the verdict."""

_GIVEN = assignments.join(items, items.c.id == assignments.c.item_id).join(
    votes, votes.c.assignment_id == assignments.c.id
)


def order_shown(seed: int, labeller: str, number: int, size: int) -> str:
    """Return the places of the completions as shown to a labeller in their item `number` (from 0).

    Items come in blocks of `size`; within a block every completion stands in every position once. So of pairs, after
    any number of items, the two sides differ by at most one.
    """
    block, turn = divmod(number, size)
    places = list(range(size))
    random.Random(json.dumps([seed, labeller, block])).shuffle(places)
    return "".join(str(place) for place in places[turn:] + places[:turn])


def next_assignment(connection: sa.Connection, task: sa.Row[Any], labeller: str, now: float) -> sa.Row[Any] | None:
    """Return what awaits the labeller's verdict, or assign the next item; None when nothing is left for them.

    A hidden repeat or a gold item when one is due, then fresh items, those with fewest votes first, then skipped ones.
    """
    while (waiting := _open_assignment(connection, task.id, labeller)) is not None:
        item = item_row(connection, waiting.item_id)
        if waiting.repeats or hold(connection, task, item, labeller, now):
            return waiting
    judged = _judged_items(connection, task.id, labeller)
    if (repeat := _due_repeat(connection, task, labeller, judged)) is not None:
        return show(connection, task, repeat.item_id, labeller, now, repeats=repeat.shown)
    item_id = _due_gold(connection, task, labeller, judged) or _fresh(connection, task, labeller, now)
    item_id = item_id or _put_off(connection, task, labeller, now)
    if item_id is None:
        return None
    hold(connection, task, item_row(connection, item_id), labeller, now)
    return show(connection, task, item_id, labeller, now)


def show(
    connection: sa.Connection, task: sa.Row[Any], item_id: int, labeller: str, now: float, repeats: str = ""
) -> sa.Row[Any]:
    """Assign an item once more under a new token; it keeps its order, but as a repeat (of what was shown) has the reverse."""
    mine = (assignments.c.item_id == item_id) & (assignments.c.labeller == labeller)
    last = connection.execute(
        sa.select(assignments).where(mine).order_by(assignments.c.showing.desc()).limit(1)
    ).one_or_none()
    if last is None:
        size = connection.execute(
            sa.select(sa.func.count()).select_from(completions).where(completions.c.item_id == item_id)
        ).scalar_one()
        shown, showing = order_shown(task.seed, labeller, _items_seen(connection, task.id, labeller), size), 1
    else:
        shown, showing = repeats[::-1] or last.shown, last.showing + 1
    newest = sa.select(sa.func.max(instructions.c.id)).where(instructions.c.task_id == task.id)
    return connection.execute(
        sa.insert(assignments)
        .values(
            token=secrets.token_urlsafe(16),
            item_id=item_id,
            labeller=labeller,
            showing=showing,
            repeats=bool(repeats),
            shown=shown,
            instructions_id=newest.scalar_subquery(),
            created_at=stamp(now),
        )
        .returning(assignments)
    ).one()


def item_row(connection: sa.Connection, item_id: int) -> sa.Row[Any]:
    """Return an item."""
    return connection.execute(sa.select(items).where(items.c.id == item_id)).one()


def last_vote(connection: sa.Connection, task_id: int, labeller: str) -> sa.Row[Any] | None:
    """Return the labeller's last vote in force: its assignment, with the vote's id as `vote_id`.

    A skip whose item has come back since no longer counts: there is nothing left of it to undo.
    """
    later = assignments.alias("later")
    shown_again = sa.exists().where(
        later.c.item_id == assignments.c.item_id,
        later.c.labeller == assignments.c.labeller,
        later.c.repeats == assignments.c.repeats,
        later.c.showing > assignments.c.showing,
    )
    query = (
        sa.select(assignments, votes.c.id.label("vote_id"), votes.c.action)
        .select_from(_GIVEN)
        .where(_mine(task_id, labeller), in_force(), ~shown_again)
    )
    return connection.execute(query.order_by(votes.c.id.desc()).limit(1)).one_or_none()


def items_done(connection: sa.Connection, task_id: int, labeller: str) -> int:
    """Count what the labeller has judged, gold items and repeats among it, skips not."""
    done = sa.select(sa.func.count()).select_from(_GIVEN)
    return connection.execute(done.where(_mine(task_id, labeller), in_force(), votes.c.action == "vote")).scalar_one()


def _mine(task_id: int, labeller: str) -> sa.ColumnElement[bool]:
    return (items.c.task_id == task_id) & (assignments.c.labeller == labeller)


def _open_assignment(connection: sa.Connection, task_id: int, labeller: str) -> sa.Row[Any] | None:
    """The latest assignment without a verdict, when an undo has left several, whose item was not lost to others."""
    answered = sa.exists().where(votes.c.assignment_id == assignments.c.id)
    held = sa.exists().where(
        claims.c.item_id == assignments.c.item_id, claims.c.labeller == labeller, claims.c.state == "held"
    )
    query = sa.select(assignments).select_from(assignments.join(items)).where(_mine(task_id, labeller), ~answered)
    query = query.where(assignments.c.repeats | held)
    return connection.execute(query.order_by(assignments.c.id.desc()).limit(1)).one_or_none()


def _judged_items(connection: sa.Connection, task_id: int, labeller: str) -> int:
    mine = sa.select(sa.func.count()).select_from(claims.join(items))
    return connection.execute(
        mine.where(items.c.task_id == task_id, items.c.kind == "item", _my_claim(labeller, "judged"))
    ).scalar_one()


def _due_repeat(connection: sa.Connection, task: sa.Row[Any], labeller: str, judged: int) -> sa.Row[Any] | None:
    """The earliest vote that has not been asked for again, when it is time: half an interval after the gold items."""
    if task.repeat_every is None or judged < REPEAT_GAP:
        return None
    again = assignments.alias("again")
    mine = (again.c.item_id == items.c.id) & (again.c.labeller == labeller) & again.c.repeats
    counted = sa.select(sa.func.count(again.c.item_id.distinct())).select_from(again.join(items)).where(
        items.c.task_id == task.id, again.c.labeller == labeller, again.c.repeats
    )  # fmt: skip
    if (judged + task.repeat_every // 2) // task.repeat_every <= connection.execute(counted).scalar_one():
        return None
    first = (
        sa.select(assignments)
        .select_from(_GIVEN)
        .where(_mine(task.id, labeller), items.c.kind == "item", in_force(), votes.c.action == "vote")
        .where(~sa.exists().where(mine))
    )
    rows = connection.execute(first.order_by(votes.c.id).limit(REPEAT_GAP + 1)).all()
    return rows[0] if len(rows) > REPEAT_GAP else None


def _due_gold(connection: sa.Connection, task: sa.Row[Any], labeller: str, judged: int) -> int | None:
    gold = (items.c.task_id == task.id) & (items.c.kind == "gold")
    query = sa.select(sa.func.count()).select_from(items).where(gold, _seen_by(labeller))
    if judged // task.gold_every <= connection.execute(query).scalar_one():
        return None
    return connection.scalar(_in_turn(sa.select(items.c.id).where(gold, ~_seen_by(labeller)), task, labeller))


def _fresh(connection: sa.Connection, task: sa.Row[Any], labeller: str, now: float) -> int | None:
    count = sa.func.count(claims.c.item_id)
    query = (
        sa.select(items.c.id)
        .select_from(items.outerjoin(claims, (claims.c.item_id == items.c.id) & taken(now)))
        .where(items.c.task_id == task.id, items.c.kind == "item", ~_seen_by(labeller))
        .group_by(items.c.id, items.c.number)
        .order_by(count)
    )
    if task.overlap is not None:
        query = query.having(count < task.overlap)
    return connection.scalar(_in_turn(query, task, labeller))


def _seen_by(labeller: str) -> sa.ColumnElement[bool]:
    mine = claims.alias("mine")
    return sa.exists().where(mine.c.item_id == items.c.id, mine.c.labeller == labeller)


def _put_off(connection: sa.Connection, task: sa.Row[Any], labeller: str, now: float) -> int | None:
    """What the labeller skipped, or lost to others who took it back since; in the order it was put off."""
    query = (
        sa.select(items)
        .select_from(claims.join(items))
        .where(items.c.task_id == task.id, claims.c.labeller == labeller, claims.c.state.in_(("skipped", "lost")))
        .order_by(sa.func.coalesce(claims.c.vote_id, 0), items.c.number)
    )
    rows = connection.execute(query).all()
    return next((row.id for row in rows if has_room(connection, task, row, labeller, now)), None)


def _in_turn(query: sa.Select[Any], task: sa.Row[Any], labeller: str) -> sa.Select[Any]:
    """Order by the task's shuffled order, begun at another place by each labeller."""
    total = sa.select(sa.func.count()).select_from(items).where(items.c.task_id == task.id)
    drawn = int.from_bytes(hashlib.sha256(json.dumps([task.seed, labeller]).encode("utf-8")).digest()[:4], "big")
    return query.order_by((items.c.number + drawn % 1_000_003) % total.correlate(None).scalar_subquery()).limit(1)


def _my_claim(labeller: str, state: str) -> sa.ColumnElement[bool]:
    return (claims.c.labeller == labeller) & (claims.c.state == state)


def _items_seen(connection: sa.Connection, task_id: int, labeller: str) -> int:
    seen = sa.select(sa.func.count(assignments.c.item_id.distinct())).select_from(assignments.join(items))
    return connection.execute(seen.where(_mine(task_id, labeller))).scalar_one()
