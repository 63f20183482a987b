"""The votes on two contenders' answers: from the run's own task, a made one, or a rule. Votes of two tasks are never pooled."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

import pandas as pd

from dashboard.services.access import READ
from dashboard.services.catalogue import RunEntry
from dashboard.services.comparing import Comparison
from dashboard.services.settings import Settings
from dashboard.services.voting import (
    file_stamp,
    has_store,
    open_store,
    own_task_id,
    result_tasks,
    simulated_votes,
    votes_of,
)
from rlhf_core.errors import DataError
from rlhf_core.report.judged import summarise
from rlhf_core.report.parts import Votes
from rlhf_core.visible import one_line

SWAPPED = {"baseline": "contender", "contender": "baseline"}


@dataclass(frozen=True, eq=False)
class PairVotes:
    """The votes of one source on one pair, all criteria; the same object as long as there are no further votes.

    `label` names the source, `frame` has the columns of votes and is not to be changed.
    """

    label: str
    simulated: bool
    frame: pd.DataFrame

    @property
    def criteria(self) -> list[str]:
        """The criteria that were voted on, in the order of first mention."""
        return self.frame["criterion"].unique().tolist()

    def on(self, criterion: str) -> pd.DataFrame:
        """Return the votes on one criterion."""
        return self.frame.loc[self.frame["criterion"] == criterion]


def votes_on_pair(settings: Settings, entry: RunEntry, compared: Comparison) -> list[PairVotes]:
    """Return every source that has votes on exactly these answers: the run's own pairs first, then made tasks, then a rule's.

    Raises:
        RunError, DataError: votes are damaged.
        AccessError: a labeller asks.
    """
    settings.visitor.require(READ)
    found = [
        part
        for task, label in _tasks(settings, entry)
        for part in _read(settings.votes, task, label, open_store(settings.votes).log_size(task), compared)
    ]
    path = entry.path / "votes.jsonl"
    return [*found, *(_brought_along(entry, file_stamp(path), compared) if path.is_file() else [])]


def summary(votes: pd.DataFrame, simulated: bool) -> Votes:
    """Return every figure of the votes on one criterion and pair."""
    (found,) = summarise(votes, simulated=simulated)
    return found


def _tasks(settings: Settings, entry: RunEntry) -> list[tuple[int, str]]:
    """Return the tasks that may have votes on the run's answers, with what each is called.

    A run of which no task can be made, because base and tuned share no prompt, may still be in others.
    """
    if not has_store(settings):
        return []
    own = None
    with suppress(DataError):
        own = own_task_id(settings, entry)
    made = [(task.id, f"{one_line(task.run_name)} ({task.id})") for task in result_tasks(settings) if task.id != own]
    return [*([] if own is None else [(own, "Pairs of this run")]), *made]


@lru_cache(maxsize=32)
def _read(url: str, task: int, label: str, size: int, compared: Comparison) -> list[PairVotes]:
    """Return people's and simulated votes, those that there are, on items that show the very words of both answers."""
    votes = votes_of(url, task, size)
    votes = _of_pair(votes.loc[votes["kind"] == "item"], compared)
    rows = compared.rows
    answers = {key: pair for key, *pair in zip(rows["prompt_id"], rows["before"], rows["after"], strict=True)}
    same = [
        item
        for item, shown in open_store(url).texts(task).items()
        if [shown["texts"].get(name) for name in (compared.baseline, compared.contender)]
        == answers.get(shown["prompt_id"])
    ]
    votes = votes.loc[votes["item_id"].isin(same)]
    kinds = ((kind, votes.loc[votes["simulated"] == kind].reset_index(drop=True)) for kind in (False, True))
    return [PairVotes(f"{label}, simulated" if kind else label, kind, part) for kind, part in kinds if len(part)]


@lru_cache(maxsize=8)
def _brought_along(entry: RunEntry, stamp: tuple[int, int], compared: Comparison) -> list[PairVotes]:
    del stamp  # part of the key only
    votes = simulated_votes(entry)
    part = _of_pair(votes.loc[votes["kind"] == "item"], compared) if len(votes) else votes
    return [PairVotes("Simulated votes", True, part)] if len(part) else []


def _of_pair(votes: pd.DataFrame, compared: Comparison) -> pd.DataFrame:
    """Return the votes on a pair of contenders, seen from the second of them whichever way a task has them."""
    baseline, contender = compared.baseline, compared.contender
    straight = (votes["baseline"] == baseline) & (votes["contender"] == contender)
    turned = votes.loc[(votes["baseline"] == contender) & (votes["contender"] == baseline)]
    if turned.empty:
        return votes.loc[straight]
    turned = turned.assign(
        baseline=baseline,
        contender=contender,
        outcome=turned["outcome"].replace(SWAPPED),
        score=1 - turned["score"],
        length_difference=-turned["length_difference"],
        contender_side=turned["contender_side"].replace({"a": "b", "b": "a"}),
    )
    return pd.concat([votes.loc[straight], turned]).sort_values("vote_id", kind="stable")
