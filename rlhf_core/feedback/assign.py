"""Who judges which item next, and on which side the contender stands. Works inside the store's write transaction."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

import sqlalchemy as sa

from rlhf_core.feedback.frames import in_force
from rlhf_core.feedback.schema import assignments, items, votes

_JUDGED = assignments.join(items).join(votes)


def contender_side(seed: int, labeller: str, number: int) -> str:
    """Return the contender's side in a labeller's item `number` (from 0).

    Items come in blocks of two, one with the contender as A and one as B; the seed draws which is first. So after any
    number of items the two sides differ by at most one.
    """
    drawn = hashlib.sha256(json.dumps([seed, labeller, number // 2]).encode("utf-8")).digest()[0]
    return "ab"[(drawn + number) % 2]


def open_assignment(connection: sa.Connection, task_id: int, labeller: str) -> sa.Row[Any] | None:
    """Return the labeller's assignment that awaits a verdict (the latest, when an undo brought another back)."""
    answered = sa.exists().where(votes.c.assignment_id == assignments.c.id)
    query = sa.select(assignments).select_from(assignments.join(items)).where(_mine(task_id, labeller), ~answered)
    return connection.execute(query.order_by(assignments.c.id.desc()).limit(1)).one_or_none()


def assign_next(connection: sa.Connection, task: sa.Row[Any], labeller: str) -> sa.Row[Any] | None:
    """Assign the next item: fresh before skipped, those with fewest votes first; None when all are judged."""
    item_id = _choose(connection, task, labeller)
    return None if item_id is None else show(connection, task, item_id, labeller)


def show(connection: sa.Connection, task: sa.Row[Any], item_id: int, labeller: str) -> sa.Row[Any]:
    """Assign an item once more under a new token; an item seen before keeps its sides."""
    mine = (assignments.c.item_id == item_id) & (assignments.c.labeller == labeller)
    last = connection.execute(
        sa.select(assignments).where(mine).order_by(assignments.c.showing.desc()).limit(1)
    ).one_or_none()
    if last is None:
        side, showing = contender_side(task.seed, labeller, _items_seen(connection, task.id, labeller)), 1
    else:
        side, showing = last.contender_side, last.showing + 1
    return connection.execute(
        sa.insert(assignments)
        .values(
            token=secrets.token_urlsafe(16),
            item_id=item_id,
            labeller=labeller,
            showing=showing,
            contender_side=side,
            created_at=sa.func.strftime("%Y-%m-%dT%H:%M:%fZ", "now"),
        )
        .returning(assignments)
    ).one()


def last_vote(connection: sa.Connection, task_id: int, labeller: str) -> sa.Row[Any] | None:
    """Return the labeller's last vote in force: its assignment, with the vote's id as `vote_id`.

    A skip whose item has come back since no longer counts: there is nothing left of it to undo.
    """
    later = assignments.alias("later")
    shown_again = sa.exists().where(
        later.c.item_id == assignments.c.item_id,
        later.c.labeller == assignments.c.labeller,
        later.c.showing > assignments.c.showing,
    )
    query = (
        sa.select(assignments, votes.c.id.label("vote_id"))
        .select_from(_JUDGED)
        .where(_mine(task_id, labeller), in_force(), ~shown_again)
    )
    return connection.execute(query.order_by(votes.c.id.desc()).limit(1)).one_or_none()


def items_done(connection: sa.Connection, task_id: int, labeller: str) -> int:
    """Count the items that the labeller has judged, skips not counted."""
    done = sa.select(sa.func.count()).select_from(_JUDGED)
    return connection.execute(done.where(_mine(task_id, labeller), in_force(), votes.c.verdict != "skip")).scalar_one()


def _mine(task_id: int, labeller: str) -> sa.ColumnElement[bool]:
    return (items.c.task_id == task_id) & (assignments.c.labeller == labeller)


def _choose(connection: sa.Connection, task: sa.Row[Any], labeller: str) -> int | None:
    query = sa.select(assignments.c.item_id, assignments.c.labeller, votes.c.verdict, votes.c.id)
    given = connection.execute(
        query.select_from(_JUDGED).where(items.c.task_id == task.id, in_force()).order_by(votes.c.id)
    ).all()
    judged = {row.item_id for row in given if row.labeller == labeller and row.verdict != "skip"}
    skipped = {row.item_id: row.id for row in given if row.labeller == labeller and row.verdict == "skip"}
    counts: dict[int, int] = {}
    for row in given:
        counts[row.item_id] = counts.get(row.item_id, 0) + (row.verdict != "skip")
    left = [i for i in connection.scalars(sa.select(items.c.id).where(items.c.task_id == task.id)) if i not in judged]
    return min(
        left,
        key=lambda i: (skipped.get(i, 0), counts.get(i, 0), _draw(task.seed, labeller, i)),
        default=None,
    )


def _draw(seed: int, labeller: str, item_id: int) -> bytes:
    return hashlib.sha256(json.dumps([seed, labeller, "order", item_id]).encode("utf-8")).digest()


def _items_seen(connection: sa.Connection, task_id: int, labeller: str) -> int:
    seen = sa.select(sa.func.count(assignments.c.item_id.distinct())).select_from(assignments.join(items))
    return connection.execute(seen.where(_mine(task_id, labeller))).scalar_one()
