"""The vote store: tasks, blind assignments and append-only votes in one SQLite file that many processes may share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import sqlalchemy as sa

from rlhf_core.errors import VoteError
from rlhf_core.feedback.assign import assign_next, items_done, last_vote, open_assignment, show
from rlhf_core.feedback.frames import in_force, log_frame, votes_frame
from rlhf_core.feedback.schema import assignments, items, open_engine, tasks, votes, write
from rlhf_core.feedback.tasks import TaskSpec

Verdict = Literal["a", "b", "tie", "both_bad", "skip"]
VERDICTS: tuple[Verdict, ...] = ("a", "b", "tie", "both_bad", "skip")
RELOAD = "Reload the judging page: it brings up the item that awaits a verdict"
_NOW = sa.func.strftime("%Y-%m-%dT%H:%M:%fZ", "now")


@dataclass(frozen=True)
class Assignment:
    """What a labeller sees of one item. Nothing in it tells which contender wrote A."""

    token: str
    item_id: int
    prompt: str
    category: str
    text_a: str
    text_b: str
    position: int
    total: int


@dataclass(frozen=True)
class Progress:
    """Items judged by one labeller, out of the task's `total`."""

    done: int
    total: int


@dataclass(frozen=True)
class TaskInfo:
    """A task for its owner; it names the contenders, so it is not for labellers."""

    id: int
    run_name: str
    baseline: str
    contender: str
    instructions: str
    instruction_version: str
    items: int
    identical: int
    unmatched: int
    leaks: int
    votes: int
    labellers: int
    created_at: str


class VoteStore:
    """Tasks and votes at a path or `sqlite:///` URL. Safe to share between threads and between processes.

    Raises:
        VoteError: from every method, with the remedy, when what it is given does not fit what is stored.
    """

    def __init__(self, url_or_path: str | Path) -> None:
        self._engine = open_engine(url_or_path)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def ensure_task(self, spec: TaskSpec) -> int:
        """Store a task and return its id; a task with the same content is stored once."""
        with write(self._engine) as connection:
            same = sa.select(tasks.c.id).where(tasks.c.fingerprint == spec.fingerprint)
            found = connection.execute(same).scalar_one_or_none()
            return _insert_task(connection, spec) if found is None else found

    def tasks(self) -> list[TaskInfo]:
        """Return all tasks, oldest first, with how far their judging is."""
        with self._engine.begin() as connection:
            return [_task_info(connection, row) for row in connection.execute(sa.select(tasks).order_by(tasks.c.id))]

    def next_item(self, task_id: int, labeller: str) -> Assignment | None:
        """Return the labeller's open item, or assign the next one; None when all are judged.

        Fresh items come before skipped ones, and those with fewest votes first.
        """
        labeller = _checked_labeller(labeller)
        with write(self._engine) as connection:
            task = _task(connection, task_id)
            row = open_assignment(connection, task_id, labeller) or assign_next(connection, task, labeller)
            return None if row is None else _present(connection, row)

    def vote(
        self, token: str, verdict: Verdict, *, reading_seconds: float, reason: str = "", simulated: bool = False
    ) -> int:
        """Record a verdict on an assignment and return the vote's id; the same verdict twice is one vote.

        `simulated` marks a vote that no person gave; it stays on the vote for good.
        """
        _check_vote(verdict, reading_seconds)
        with write(self._engine) as connection:
            assignment = _assignment(connection, token)
            given = connection.execute(
                sa.select(votes, in_force().label("in_force")).where(
                    votes.c.assignment_id == assignment.id, votes.c.verdict != "undo"
                )
            ).one_or_none()
            if given is not None:
                return _same_vote(given, verdict)
            values = {"reading_seconds": reading_seconds, "reason": reason, "simulated": simulated}
            return _append(connection, assignment.id, verdict, **values)

    def undo(self, task_id: int, labeller: str) -> Assignment | None:
        """Take back the labeller's last vote and give that item again, sides unchanged; None when there is none.

        The vote stays in the log: a new row supersedes it.
        """
        labeller = _checked_labeller(labeller)
        with write(self._engine) as connection:
            task = _task(connection, task_id)
            last = last_vote(connection, task_id, labeller)
            if last is None:
                return None
            _append(connection, last.id, "undo", supersedes=last.vote_id)
            return _present(connection, show(connection, task, last.item_id, labeller))

    def progress(self, task_id: int, labeller: str) -> Progress:
        """Return how many items the labeller has judged, skips not counted."""
        labeller = _checked_labeller(labeller)
        with self._reading(task_id) as connection:
            return Progress(items_done(connection, task_id, labeller), _total(connection, task_id))

    def votes(self, task_id: int) -> pd.DataFrame:
        """Return the votes in force as a frame (columns: `frames.VOTE_TYPES`), skips left out."""
        with self._reading(task_id) as connection:
            return votes_frame(connection, task_id)

    def log(self, task_id: int) -> pd.DataFrame:
        """Return every row of the log, skips and undos included."""
        with self._reading(task_id) as connection:
            return log_frame(connection, task_id)

    @contextmanager
    def _reading(self, task_id: int) -> Iterator[sa.Connection]:
        with self._engine.begin() as connection:
            _task(connection, task_id)
            yield connection


def _checked_labeller(labeller: str) -> str:
    if not labeller.strip():
        raise VoteError("the labeller has no name", value=labeller, remedy="Give a name: it keeps people's votes apart")
    return labeller.strip()


def _check_vote(verdict: str, reading_seconds: float) -> None:
    if verdict not in VERDICTS:
        raise VoteError("unknown verdict", value=verdict, remedy=f"Expected one of {', '.join(VERDICTS)}")
    if not (isfinite(reading_seconds) and reading_seconds >= 0):
        raise VoteError("reading_seconds must be 0 or more", value=reading_seconds)


def _insert_task(connection: sa.Connection, spec: TaskSpec) -> int:
    row = {name: getattr(spec, name) for name in ("fingerprint", "run_name", "baseline", "contender", "instructions")}
    row |= {name: getattr(spec, name) for name in ("instruction_version", "seed", "identical", "unmatched")}
    insert = sa.insert(tasks).values(**row, leaks=len(spec.leaks), created_at=_NOW)
    task_id = connection.execute(insert.returning(tasks.c.id)).scalar_one()
    connection.execute(sa.insert(items), [{"task_id": task_id, **vars(item)} for item in spec.items])
    return task_id


def _task(connection: sa.Connection, task_id: int) -> sa.Row[Any]:
    row = connection.execute(sa.select(tasks).where(tasks.c.id == task_id)).one_or_none()
    if row is None:
        raise VoteError("no such task", where="vote store", value=task_id, remedy="Choose one of the tasks listed")
    return row


def _task_info(connection: sa.Connection, row: sa.Row[Any]) -> TaskInfo:
    given = connection.execute(
        sa.select(sa.func.count(), sa.func.count(assignments.c.labeller.distinct()))
        .select_from(votes.join(assignments).join(items))
        .where(items.c.task_id == row.id, in_force(), votes.c.verdict != "skip")
    ).one()
    fields = {name: value for name, value in row._mapping.items() if name not in ("fingerprint", "seed")}
    return TaskInfo(**fields, items=_total(connection, row.id), votes=given[0], labellers=given[1])


def _total(connection: sa.Connection, task_id: int) -> int:
    return connection.execute(
        sa.select(sa.func.count()).select_from(items).where(items.c.task_id == task_id)
    ).scalar_one()


def _assignment(connection: sa.Connection, token: str) -> sa.Row[Any]:
    row = connection.execute(
        sa.select(assignments, items.c.id.label("found"))
        .select_from(assignments.outerjoin(items))
        .where(assignments.c.token == token)
    ).one_or_none()
    if row is None:
        raise VoteError("unknown token: the vote was not recorded", value=token, remedy=RELOAD)
    if row.found is None:
        raise VoteError(f"item {row.item_id} no longer exists: the vote was not recorded", value=token, remedy=RELOAD)
    return row


def _same_vote(given: sa.Row[Any], verdict: str) -> int:
    if not given.in_force:
        raise VoteError("this vote was undone; its item was given again under a new token", remedy=RELOAD)
    if given.verdict != verdict:
        raise VoteError(
            "this item has a verdict already; the new one is not kept",
            value=verdict,
            remedy="Undo it to change it",
        )
    return given.id


def _append(connection: sa.Connection, assignment_id: int, verdict: str, **fields: Any) -> int:
    values = {"reading_seconds": 0.0, "reason": "", "simulated": False} | fields
    row = sa.insert(votes).values(assignment_id=assignment_id, verdict=verdict, created_at=_NOW, **values)
    return connection.execute(row.returning(votes.c.id)).scalar_one()


def _present(connection: sa.Connection, assignment: sa.Row[Any]) -> Assignment:
    item = connection.execute(sa.select(items).where(items.c.id == assignment.item_id)).one()
    texts = item.contender_text, item.baseline_text
    text_a, text_b = texts if assignment.contender_side == "a" else texts[::-1]
    return Assignment(
        token=assignment.token,
        item_id=item.id,
        prompt=item.prompt,
        category=item.category,
        text_a=text_a,
        text_b=text_b,
        position=items_done(connection, item.task_id, assignment.labeller) + 1,
        total=_total(connection, item.task_id),
    )
