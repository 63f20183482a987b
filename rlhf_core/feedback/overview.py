"""How a task is doing, for its owner: who has judged how much, how many votes items have, under which instructions."""

from __future__ import annotations

import sqlalchemy as sa

from rlhf_core.feedback.frames import in_force
from rlhf_core.feedback.records import InstructionVersion, LabellerProgress, TaskProgress
from rlhf_core.feedback.schema import assignments, claims, instructions, items, tasks, votes

_TASK = sa.bindparam("task")
_VOTES = votes.join(assignments, assignments.c.id == votes.c.assignment_id).join(items)
_VOTED = (items.c.task_id == _TASK, in_force(), votes.c.action == "vote")
_ORDINARY = items.c.kind == "item"
_LABELLERS = (
    sa.select(
        assignments.c.labeller,
        sa.func.count().filter(_ORDINARY & ~assignments.c.repeats).label("judged"),
        sa.func.count().filter(items.c.kind == "gold").label("golds"),
        sa.func.count().filter(assignments.c.repeats).label("repeats"),
        sa.func.count().filter(votes.c.simulated).label("simulated"),
        sa.func.max(votes.c.created_at).label("last"),
    )
    .select_from(_VOTES)
    .where(*_VOTED)
    .group_by(assignments.c.labeller)
    .order_by(assignments.c.labeller)
)
_PER_ITEM = (
    sa.select(sa.func.count(claims.c.item_id).label("votes"))
    .select_from(items.outerjoin(claims, (claims.c.item_id == items.c.id) & (claims.c.state == "judged")))
    .where(items.c.task_id == _TASK, _ORDINARY)
    .group_by(items.c.id)
    .subquery()
)
_DEPTH = (
    sa.select(_PER_ITEM.c.votes, sa.func.count().label("items")).group_by(_PER_ITEM.c.votes).order_by(_PER_ITEM.c.votes)
)
_GIVEN = (
    sa.select(assignments.c.instructions_id, sa.func.count().label("votes"))
    .select_from(_VOTES)
    .where(*_VOTED)
    .group_by(assignments.c.instructions_id)
    .subquery()
)
_VERSIONS = (
    sa.select(
        instructions.c.version, instructions.c.text, instructions.c.created_at, sa.func.coalesce(_GIVEN.c.votes, 0)
    )
    .select_from(instructions.outerjoin(_GIVEN, _GIVEN.c.instructions_id == instructions.c.id))
    .where(instructions.c.task_id == _TASK)
    .order_by(instructions.c.id)
)
_READING = (
    sa.select(votes.c.reading_seconds)
    .select_from(_VOTES.join(tasks))
    .where(tasks.c.form == sa.bindparam("form"), in_force(), votes.c.action == "vote")
    .where(~votes.c.simulated, votes.c.reading_seconds > 0)
    .order_by(votes.c.id.desc())
    .limit(sa.bindparam("most"))
)


def overview(connection: sa.Connection, task_id: int) -> TaskProgress:
    """Return who has judged how much, and how many votes items have."""
    bound = {"task": task_id}
    return TaskProgress(
        labellers=tuple(LabellerProgress(*row) for row in connection.execute(_LABELLERS, bound)),
        items_by_votes={row.votes: row.items for row in connection.execute(_DEPTH, bound)},
    )


def versions(connection: sa.Connection, task_id: int) -> tuple[InstructionVersion, ...]:
    """Return the versions of a task's instructions, oldest first."""
    return tuple(InstructionVersion(*row) for row in connection.execute(_VERSIONS, {"task": task_id}))


def reading_times(connection: sa.Connection, form: str, most: int) -> list[float]:
    """Return the reading seconds of people's newest votes on tasks of a form, at most so many; 0 is not known."""
    return list(connection.scalars(_READING, {"form": form, "most": most}))
