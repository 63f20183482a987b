"""The vote store: tasks, blind assignments and append-only votes in one database that many processes may share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa

from rlhf_core.data.records import PairVote
from rlhf_core.errors import VoteError
from rlhf_core.feedback import task_rows
from rlhf_core.feedback.assign import last_vote, next_assignment, show
from rlhf_core.feedback.claims import Standing, claim_of, hold, settle, standing
from rlhf_core.feedback.clock import stamp
from rlhf_core.feedback.database import Database
from rlhf_core.feedback.frames import in_force, log_frame, log_size, votes_frame
from rlhf_core.feedback.locks import lock
from rlhf_core.feedback.overview import overview, reading_times, versions
from rlhf_core.feedback.pair_votes import VoteCounts, Wanted, count_votes, pair_votes
from rlhf_core.feedback.records import Assignment, InstructionVersion, Progress, TaskInfo, TaskProgress
from rlhf_core.feedback.schema import NOT_UNDO, STATES, assignments, completions, items, verdicts, votes
from rlhf_core.feedback.tasks import TaskSpec
from rlhf_core.feedback.verdicts import STRENGTHS, check_verdict
from rlhf_core.visible import check_name

RELOAD = "Reload the judging page: it brings up the item that awaits a verdict"

_BY_TOKEN = (
    sa.select(assignments, items.c.task_id, items.c.kind)
    .select_from(assignments.join(items))
    .where(assignments.c.token == sa.bindparam("token"))
)
_GIVEN = sa.select(votes, in_force().label("in_force")).where(
    votes.c.assignment_id == sa.bindparam("assignment"), NOT_UNDO
)
_TEXTS = (
    sa.select(items.c.prompt, items.c.category, completions.c.text)
    .select_from(completions.join(items))
    .where(items.c.id == sa.bindparam("item"))
    .order_by(completions.c.place)
)
_APPEND = sa.insert(votes).returning(votes.c.id)


class VoteStore:
    """Tasks and votes at a path or database URL. Safe to share between threads and between processes.

    Raises:
        VoteError: from every method, with the remedy, when what it is given does not fit what is stored.
    """

    def __init__(self, url_or_path: str | Path, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = Database(url_or_path), clock

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def ensure_task(self, spec: TaskSpec, state: str = "open") -> int:
        """Store a task and return its id; a task with the same content is stored once.

        Other instructions become its newest version: votes keep the version they were given under.
        """
        with self._database.write() as connection:
            lock(connection, "task", spec.fingerprint)
            now = stamp(self._clock())
            task_id = task_rows.find(connection, spec)
            if task_id is None:
                return task_rows.insert(connection, spec, state, now)
            task_rows.revise(connection, task_id, spec.instructions, now)
            return task_id

    def find_task(self, spec: TaskSpec) -> int | None:
        """Return the id of the stored task with the same content, whatever its instructions; None when there is none."""
        with self._database.read() as connection:
            return task_rows.find(connection, spec)

    def revise(self, task_id: int, text: str) -> None:
        """Give a task new instructions, from the next item shown on; votes keep the version they were given under."""
        if not text.strip():
            raise VoteError("the task has no instructions", remedy="Say what labellers should prefer")
        with self._database.write() as connection:
            task_rows.row(connection, task_id)
            task_rows.revise(connection, task_id, text, stamp(self._clock()))

    def tasks(self) -> list[TaskInfo]:
        """Return all tasks, oldest first, with how far their judging is."""
        with self._database.read() as connection:
            return task_rows.infos(connection)

    def task(self, task_id: int) -> TaskInfo:
        """Return one task."""
        with self._reading(task_id) as connection:
            return task_rows.infos(connection, task_id)[0]

    def set_state(self, task_id: int, state: str) -> None:
        """Open, pause or close a task: paused gives out no items, closed takes no votes either. Each change is logged."""
        if state not in STATES:
            raise VoteError("unknown state of a task", value=state, remedy=f"Expected one of {', '.join(STATES)}")
        with self._database.write() as connection:
            task_rows.row(connection, task_id)
            task_rows.set_state(connection, task_id, state, stamp(self._clock()))

    def next_item(self, task_id: int, labeller: str) -> Assignment | None:
        """Return the labeller's open item, or assign the next one; None when nothing is left for them.

        Fresh items come before skipped ones, and those with fewest votes first; never more labellers than the overlap.
        """
        labeller = _checked_labeller(labeller)
        with self._writing(task_id, labeller) as (connection, task):
            if task.state != "open":
                raise VoteError(
                    f"judging is {'not open yet' if task.state == 'draft' else task.state}",
                    where=task.run_name,
                    remedy="Ask whoever made the task; all votes given so far are kept",
                )
            found = next_assignment(connection, task, labeller, self._clock())
            return None if found is None else _present(connection, task, *found)

    def vote(
        self,
        token: str,
        verdict: str | Mapping[str, str],
        *,
        reading_seconds: float,
        strength: Mapping[str, int] | None = None,
        reason: str = "",
        simulated: bool = False,
    ) -> int:
        """Record a verdict on an assignment and return the vote's id; the same verdict twice is one vote.

        Args:
            verdict: one for each criterion (see `verdicts.py`), or one alone for a task of one criterion, or "skip".
            strength: how much better, 1 to 3, for each criterion where the labeller said so.
            simulated: marks a vote that no person gave; it stays on the vote for good.
        """
        if not (isfinite(reading_seconds) and reading_seconds >= 0):
            raise VoteError("reading_seconds must be 0 or more", value=reading_seconds)
        with self._database.write() as connection:
            found = _assignment(connection, token)
            lock(connection, "labeller", found.task_id, found.labeller)
            task = task_rows.row(connection, found.task_id)
            said = _checked_verdicts(task, found, verdict)
            strengths = _checked_strengths(said, strength or {})
            if (given := _given(connection, found.id)) is not None:
                return _same_vote(connection, given, said)
            self._keep_overlap(connection, task, found)
            more = {"reading_seconds": reading_seconds, "reason": reason, "simulated": simulated}
            vote_id = self._append(connection, found.id, "vote" if said else "skip", **more)
            rows = [
                {"vote_id": vote_id, "criterion": name, "verdict": one, "strength": strengths.get(name)}
                for name, one in said.items()
            ]
            if rows:
                connection.execute(sa.insert(verdicts), rows)
            if not found.repeats:
                became = "judged" if said else "skipped"
                settle(connection, found.item_id, found.labeller, became, vote_id=vote_id)
            return vote_id

    def undo(self, task_id: int, labeller: str) -> Assignment | None:
        """Take back the labeller's last vote and give that item again, order unchanged; None when there is none.

        The vote stays in the log: a new row supersedes it.
        """
        labeller = _checked_labeller(labeller)
        with self._writing(task_id, labeller) as (connection, task):
            last = last_vote(connection, task_id, labeller)
            if last is None:
                return None
            now = self._clock()
            self._append(connection, last.id, "undo", supersedes=last.vote_id)
            if not last.repeats and not hold(connection, task, last.item_id, last.kind, labeller, now):
                raise VoteError("others have judged the skipped item since: it cannot be brought back", remedy=RELOAD)
            stands, reverse = standing(connection, task, labeller), last.shown[::-1] if last.repeats else ""
            again = show(connection, task, last.item_id, labeller, stands, now, reverse)
            return _present(connection, task, again, stands)

    def progress(self, task_id: int, labeller: str) -> Progress:
        """Return how many items the labeller has judged, skips not counted."""
        labeller = _checked_labeller(labeller)
        with self._reading(task_id) as connection:
            task = task_rows.row(connection, task_id)
            return Progress(standing(connection, task, labeller).done, task.size)

    def overview(self, task_id: int) -> TaskProgress:
        """Return who has judged how much, and how many votes items have. Not for labellers."""
        with self._reading(task_id) as connection:
            return overview(connection, task_id)

    def versions(self, task_id: int) -> tuple[InstructionVersion, ...]:
        """Return the versions of a task's instructions, oldest first, with the votes given under each."""
        with self._reading(task_id) as connection:
            return versions(connection, task_id)

    def reading_times(self, form: str, most: int = 10_000) -> list[float]:
        """Return the reading seconds of people's newest votes on tasks of a form, at most so many."""
        with self._database.read() as connection:
            return reading_times(connection, form, most)

    def votes(self, task_id: int, kinds: Sequence[str] = ("item",)) -> pd.DataFrame:
        """Return the votes in force as a frame (columns: `frames.VOTE_TYPES`), skips left out."""
        with self._reading(task_id) as connection:
            return votes_frame(connection, task_id, kinds)

    def pair_votes(self, wanted: Wanted) -> Iterator[PairVote]:
        """Yield judgements in force as records of their own, in the order they were given. Not for labellers."""
        with self._reading(wanted.task) as connection:
            yield from pair_votes(connection, wanted)

    def count_votes(self, task_id: int) -> VoteCounts:
        """Return how many votes in force are people's or simulated, and how many are on gold items and repeats."""
        with self._reading(task_id) as connection:
            return count_votes(connection, task_id)

    def texts(self, task_id: int) -> dict[int, dict[str, Any]]:
        """Return what each item shows, by its id; not for labellers.

        `prompt` is shown as it is, and `history` the turns in it before its last message, as far as these are known;
        prompt_id, category, and `texts` by contender.
        """
        with self._reading(task_id) as connection:
            return task_rows.texts(connection, task_id)

    def log_size(self, task_id: int) -> int:
        """Return how many rows the log has: as long as they are as many, nothing has changed."""
        with self._reading(task_id) as connection:
            return log_size(connection, task_id)

    def log(self, task_id: int) -> pd.DataFrame:
        """Return every row of the log, skips and undos included."""
        with self._reading(task_id) as connection:
            return log_frame(connection, task_id)

    def _keep_overlap(self, connection: sa.Connection, task: sa.Row[Any], found: sa.Row[Any]) -> None:
        if task.state == "closed":
            raise VoteError("the task is closed: the vote was not recorded", where=task.run_name)
        lock(connection, "item", found.item_id)
        claim = claim_of(connection, found.item_id, found.labeller)
        if found.repeats or (claim and claim.state == "held" and claim.until > 0):
            return
        if not hold(connection, task, found.item_id, found.kind, found.labeller, self._clock()):
            raise VoteError(
                "this item has been judged by as many people as planned: the vote was not recorded", remedy=RELOAD
            )

    def _append(self, connection: sa.Connection, assignment_id: int, action: str, **fields: Any) -> int:
        row = {
            "assignment_id": assignment_id,
            "action": action,
            "supersedes": None,
            "reading_seconds": 0.0,
            "reason": "",
        }
        row |= {"simulated": False, "created_at": stamp(self._clock())} | fields
        return connection.execute(_APPEND, row).scalar_one()

    @contextmanager
    def _writing(self, task_id: int, labeller: str) -> Iterator[tuple[sa.Connection, sa.Row[Any]]]:
        """A transaction in which one labeller does something, one thing at a time."""
        with self._database.write() as connection:
            lock(connection, "labeller", task_id, labeller)
            yield connection, task_rows.row(connection, task_id)

    @contextmanager
    def _reading(self, task_id: int) -> Iterator[sa.Connection]:
        with self._database.read() as connection:
            task_rows.row(connection, task_id)
            yield connection


def _checked_labeller(labeller: str) -> str:
    if not labeller.strip():
        raise VoteError("the labeller has no name", value=labeller, remedy="Give a name: it keeps people's votes apart")
    try:
        return check_name(labeller.strip())
    except ValueError as error:
        raise VoteError(f"the labeller's name {error}", remedy="Type it in letters") from error


def _checked_verdicts(task: sa.Row[Any], found: sa.Row[Any], verdict: str | Mapping[str, str]) -> dict[str, str]:
    """One verdict for each criterion; empty for a skip."""
    if verdict == "skip":
        return {}
    if isinstance(verdict, str):
        verdict = {task.criteria[0]: verdict}
    if set(verdict) != set(task.criteria):
        raise VoteError(
            "expected a verdict on every criterion", value=sorted(verdict), remedy=f"Judge {', '.join(task.criteria)}"
        )
    for one in verdict.values():
        check_verdict(one, task.form, len(found.shown))
    return dict(verdict)


def _checked_strengths(said: Mapping[str, str], strength: Mapping[str, int]) -> Mapping[str, int]:
    if wrong := {name: value for name, value in strength.items() if name not in said or value not in STRENGTHS}:
        raise VoteError("unknown strength", value=wrong, remedy=f"Expected {STRENGTHS} for a criterion that was judged")
    return strength


def _assignment(connection: sa.Connection, token: str) -> sa.Row[Any]:
    found = connection.execute(_BY_TOKEN, {"token": token}).one_or_none()
    if found is None:
        raise VoteError("unknown token: the vote was not recorded", value=token, remedy=RELOAD)
    return found


def _given(connection: sa.Connection, assignment_id: int) -> sa.Row[Any] | None:
    return connection.execute(_GIVEN, {"assignment": assignment_id}).one_or_none()


def _same_vote(connection: sa.Connection, given: sa.Row[Any], said: Mapping[str, str]) -> int:
    if not given.in_force:
        raise VoteError("this vote was undone; its item was given again under a new token", remedy=RELOAD)
    rows = connection.execute(sa.select(verdicts).where(verdicts.c.vote_id == given.id))
    if {row.criterion: row.verdict for row in rows} != said:
        new = ", ".join(said.values()) or "skip"
        raise VoteError(
            "this item has a verdict already; the new one is not kept", value=new, remedy="Undo it to change it"
        )
    return given.id


def _present(connection: sa.Connection, task: sa.Row[Any], assignment: sa.Row[Any], stands: Standing) -> Assignment:
    rows = connection.execute(_TEXTS, {"item": assignment.item_id}).all()
    return Assignment(
        token=assignment.token,
        item_id=assignment.item_id,
        form=task.form,
        criteria=tuple(task.criteria),
        prompt=rows[0].prompt,
        category=rows[0].category,
        texts=tuple(rows[int(place)].text for place in assignment.shown),
        position=stands.done + 1,
        total=task.size,
    )
