"""The votes a round begins with: of one task, on one criterion, of people or of a simulation, never of both."""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pandas as pd

from rlhf_core.errors import DataError
from rlhf_core.feedback.collect import existing_store
from rlhf_core.feedback.records import TaskInfo
from rlhf_core.feedback.store import VoteStore

OF_A_RUN = ("{}", "{}-judging")
"""The names of tasks on a run's own answers: the pairs of its Judge page, and tasks made of it."""
SAME_VOTE = ["item_id", "labeller", "baseline", "contender", "outcome"]


@dataclass(frozen=True)
class RoundVotes:
    """A task, and the votes in force on it: columns `frames.VOTE_TYPES`; `texts` is what each item shows."""

    task: TaskInfo
    criterion: str
    frame: pd.DataFrame
    texts: dict[int, dict[str, Any]]

    @property
    def count(self) -> int:
        """How many votes: one ranking is one vote, however many pairs it orders."""
        return self.frame.groupby(["item_id", "labeller"]).ngroups

    @property
    def digest(self) -> str:
        """A hash by which the same votes are known again; it gives nobody's name away."""
        rows = self.frame.loc[:, SAME_VOTE].sort_values(SAME_VOTE).to_csv(index=False)
        return hashlib.sha256(rows.encode("utf-8")).hexdigest()[:16]


def read_votes(
    database: str, run_name: str, task_id: int | None, criterion: str | None, *, simulated: bool
) -> RoundVotes:
    """Read the votes on a task; without a number, on the only task of the run that has any.

    Raises:
        VoteError: no such database or task.
        DataError: no such criterion, no votes, or several tasks of the run that have some.
    """
    with closing(existing_store(database)) as store:
        info = _task_of(store, run_name, database, simulated) if task_id is None else store.task(task_id)
        votes, texts = store.votes(info.id), store.texts(info.id)
    chosen = criterion or info.criteria[0]
    if chosen not in info.criteria:
        raise DataError("unknown criterion", value=chosen, remedy=f"Expected one of {', '.join(info.criteria)}")
    kept = votes.loc[(votes["criterion"] == chosen) & (votes["simulated"] == simulated)].reset_index(drop=True)
    if kept.empty:
        others = f"; {len(votes)} votes of other kinds are not counted" if len(votes) else ""
        raise DataError(f"no votes of {_voters(simulated)}{others}", where=f"task {info.id}", remedy=_remedy(simulated))
    return RoundVotes(info, chosen, kept, texts)


def _task_of(store: VoteStore, run_name: str, database: str, simulated: bool) -> TaskInfo:
    names = [name.format(run_name) for name in OF_A_RUN]
    counts = {
        task.id: store.votes(task.id)["simulated"].tolist().count(simulated)
        for task in store.tasks()
        if task.run_name in names
    }
    voted = [task_id for task_id, count in counts.items() if count]
    if len(voted) == 1:
        return store.task(voted[0])
    if voted:
        listed = ", ".join(f"{task_id} ({counts[task_id]} votes)" for task_id in voted)
        raise DataError(
            f"several tasks of {run_name} have votes: {listed}", where=database, remedy="Choose with --task"
        )
    raise DataError(
        f"no votes of {_voters(simulated)} on {run_name}", where=database, value=names, remedy=_remedy(simulated)
    )


def _voters(simulated: bool) -> str:
    return "a simulation" if simulated else "people"


def _remedy(simulated: bool) -> str:
    if simulated:
        return "Leave out --simulated to use people's votes"
    return "Judge some pairs on the dashboard's Judge page; `rlhf task list` shows tasks, --task chooses one"
