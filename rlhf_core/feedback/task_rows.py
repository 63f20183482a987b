"""The rows of a task: storing it, its states and instructions, and how far its judging is."""

from __future__ import annotations

import random
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa

from rlhf_core.errors import VoteError
from rlhf_core.feedback.frames import in_force
from rlhf_core.feedback.records import TaskInfo
from rlhf_core.feedback.schema import (
    assignments,
    claims,
    completions,
    instructions,
    items,
    places,
    task_states,
    tasks,
    votes,
)
from rlhf_core.feedback.tasks import TaskDesign, TaskSpec, version_of

_STATE = (
    sa.select(task_states.c.state)
    .where(task_states.c.task_id == tasks.c.id)
    .order_by(task_states.c.id.desc())
    .limit(1)
    .scalar_subquery()
    .label("state")
)
_PLACES = sa.select(items.c.id, items.c.task_id, items.c.number, sa.literal(0)).where(
    items.c.task_id == sa.bindparam("task"), items.c.kind == "item"
)
_MAKE_PLACES = sa.insert(places).from_select(["item_id", "task_id", "number", "taken"], _PLACES)
_TASK = sa.select(tasks, _STATE).where(tasks.c.id == sa.bindparam("task"))


def find(connection: sa.Connection, spec: TaskSpec) -> int | None:
    """Return the id of the task with the same content, whatever its instructions."""
    named = sa.select(tasks.c.id, tasks.c.fingerprint).where(tasks.c.run_name == spec.run_name).order_by(tasks.c.id)
    found = connection.execute(named).all()
    same = next((one.id for one in found if one.fingerprint == spec.fingerprint), None)
    if same is not None or spec.design != TaskDesign():
        return same
    return next((one.id for one in found if one.fingerprint in _first_fingerprints(connection, one.id, spec)), None)


def insert(connection: sa.Connection, spec: TaskSpec, state: str, now: str) -> int:
    """Store a task with its items, in an order drawn from its seed."""
    design = asdict(spec.design) | {"criteria": list(spec.design.criteria)}
    fields = {name: getattr(spec, name) for name in ("fingerprint", "run_name", "seed", "identical", "unmatched")}
    fields |= {"contenders": list(spec.contenders), "leaks": [asdict(leak) for leak in spec.leaks], "created_at": now}
    fields |= {"size": len(spec.items), "golds": sum(item.gold is not None for item in spec.items)}
    task_id = connection.execute(sa.insert(tasks).values(**fields, **design).returning(tasks.c.id)).scalar_one()
    numbers = list(range(len(spec.items)))
    random.Random(spec.seed).shuffle(numbers)
    for number, item in zip(numbers, spec.items, strict=True):
        row = {name: getattr(item, name) for name in ("prompt_id", "prompt", "category", "gold")}
        row |= {"task_id": task_id, "number": number, "kind": "gold" if item.gold else "item"}
        row["history"] = [turn.model_dump() for turn in item.history] or None
        item_id = connection.execute(sa.insert(items).values(row).returning(items.c.id)).scalar_one()
        texts = [
            {"item_id": item_id, "place": place, "contender": contender, "text": text}
            for place, (contender, text) in enumerate(item.completions)
        ]
        connection.execute(sa.insert(completions), texts)
    connection.execute(_MAKE_PLACES, {"task": task_id})
    revise(connection, task_id, spec.instructions, now)
    set_state(connection, task_id, state, now)
    return task_id


def revise(connection: sa.Connection, task_id: int, text: str, now: str) -> None:
    """Append a version of the instructions, unless it is the newest already."""
    version = version_of(text)
    if (newest := _newest(connection, task_id)) is None or newest.version != version:
        row = {"task_id": task_id, "version": version, "text": text, "created_at": now}
        connection.execute(sa.insert(instructions).values(row))


def set_state(connection: sa.Connection, task_id: int, state: str, now: str) -> None:
    """Append a state."""
    connection.execute(sa.insert(task_states).values(task_id=task_id, state=state, created_at=now))


def row(connection: sa.Connection, task_id: int) -> sa.Row[Any]:
    """Return a task's row, with its `state`."""
    found = connection.execute(_TASK, {"task": task_id}).one_or_none()
    if found is None:
        raise VoteError("no such task", where="vote store", value=task_id, remedy="Choose one of the tasks listed")
    return found


def texts(connection: sa.Connection, task_id: int) -> dict[int, dict[str, Any]]:
    """Return what each item shows, by its id, completions by contender in their stored order."""
    columns = (
        items.c.id,
        items.c.prompt,
        items.c.prompt_id,
        items.c.category,
        items.c.history,
        completions.c.contender,
        completions.c.text,
    )
    query = sa.select(*columns).select_from(completions.join(items)).where(items.c.task_id == task_id)
    shown: dict[int, dict[str, Any]] = {}
    for one in connection.execute(query.order_by(items.c.id, completions.c.place)):
        asked = {"prompt": one.prompt, "history": one.history or []}
        asked |= {"prompt_id": one.prompt_id, "category": one.category, "texts": {}}
        shown.setdefault(one.id, asked)["texts"][one.contender] = one.text
    return shown


def infos(connection: sa.Connection, task_id: int | None = None) -> list[TaskInfo]:
    """Return all tasks, oldest first, or one, with how far their judging is."""
    query = sa.select(tasks, _STATE).order_by(tasks.c.id)
    rows = connection.execute(query if task_id is None else query.where(tasks.c.id == task_id)).all()
    return [_info(connection, one) for one in rows]


def _info(connection: sa.Connection, one: sa.Row[Any]) -> TaskInfo:
    given = connection.execute(
        sa.select(sa.func.count(), sa.func.count(assignments.c.labeller.distinct()))
        .select_from(votes.join(assignments, assignments.c.id == votes.c.assignment_id).join(items))
        .where(items.c.task_id == one.id, in_force(), votes.c.action == "vote", ~assignments.c.repeats)
    ).one()
    judged = (
        sa.select(sa.func.count())
        .select_from(claims)
        .where(claims.c.task_id == one.id, claims.c.kind == "item", claims.c.state == "judged")
    )
    count = one.size - one.golds
    newest = _newest(connection, one.id)
    fields = {name: value for name, value in one._mapping.items() if name not in ("fingerprint", "seed", "size")}
    fields |= {name: tuple(fields[name]) for name in ("contenders", "criteria", "leaks")}
    return TaskInfo(
        **fields,
        instructions=newest.text if newest else "",
        instruction_version=newest.version if newest else "",
        items=count,
        judged=connection.execute(judged).scalar_one(),
        places=None if one.overlap is None else count * one.overlap,
        votes=given[0],
        labellers=given[1],
    )


def _first_fingerprints(connection: sa.Connection, task_id: int, spec: TaskSpec) -> set[str]:
    """What a store of version 1 called the content, under each of a task's instructions."""
    texts = connection.scalars(sa.select(instructions.c.text).where(instructions.c.task_id == task_id))
    return {replace(spec, instructions=text).first_fingerprint for text in texts}


def _newest(connection: sa.Connection, task_id: int) -> sa.Row[Any] | None:
    query = sa.select(instructions).where(instructions.c.task_id == task_id)
    return connection.execute(query.order_by(instructions.c.id.desc()).limit(1)).one_or_none()
