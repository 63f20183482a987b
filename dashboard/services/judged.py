"""Results of a run's own pairs or of a made task, read from the store once for each length of its log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd

from dashboard.services import evaluation
from dashboard.services.access import READ
from dashboard.services.catalogue import RunEntry, list_entries
from dashboard.services.results import Results, summarise_votes
from dashboard.services.settings import Settings
from dashboard.services.voting import file_stamp, open_store, own_task_id, simulated_votes, votes_of
from rlhf_core.errors import RlhfError
from rlhf_core.runs.reader import RunReader

Stamped = tuple[Path, tuple[int, int]]


@dataclass(frozen=True)
class Judged:
    """What people said, and apart from it what simulated voters did; None where there is no vote."""

    human: Results | None
    simulated: Results | None


def results_of_run(settings: Settings, entry: RunEntry) -> Judged:
    """Return the results of the run's own pairs, base against tuned.

    Raises:
        RunError, DataError: votes, completions or scores are damaged.
        AccessError: a labeller asks.
    """
    settings.visitor.require(READ)
    task = own_task_id(settings, entry)
    human = results_of_task(settings, task, [entry]).human if task is not None else None
    return Judged(human, _brought_along(entry))


def results_of_task(settings: Settings, task_id: int, entries: Iterable[RunEntry] | None = None) -> Judged:
    """Return the results of a task; automatic judges are those of the run, among `entries` or all, whose answers it shows.

    Raises:
        VoteError: there is no such task.
        AccessError: a labeller asks.
    """
    settings.visitor.require(READ)
    store = open_store(settings.votes)
    runs = list_entries(settings) if entries is None else entries
    scored = tuple((run.path, file_stamp(path)) for run in runs if (path := _scores_file(run)).is_file())
    return _results(settings.votes, task_id, store.log_size(task_id), scored)


@lru_cache(maxsize=16)
def _results(url: str, task_id: int, size: int, scored: tuple[Stamped, ...]) -> Judged:
    """`size` and the stamps are there for the key: what is unchanged is not computed again."""
    votes, task = votes_of(url, task_id, size), open_store(url).task(task_id)
    scores = scores_of_texts(open_store(url).texts(task_id).values(), [path for path, _ in scored])
    people = ~votes["simulated"].to_numpy(bool)
    overlap = task.overlap or 1
    human, simulated = (summarise_votes(votes.loc[kind], overlap, scores, task.criteria) for kind in (people, ~people))
    return Judged(human, simulated)


def scores_of_texts(shown: Iterable[dict], runs: Iterable[Path]) -> pd.DataFrame:
    """Return the scores of exactly the texts that were shown, from the run that has most of them; empty where none has.

    A text is looked up by prompt id, contender and its very words: an answer written anew has other scores.
    """
    judged = {(one["prompt_id"], name): text for one in shown for name, text in one["texts"].items()}
    found = [part for path in runs if len(part := _known_scores(RunReader(path), judged))]
    return max(found, key=len) if found else pd.DataFrame(columns=evaluation.SCORE_COLUMNS)


def _known_scores(reader: RunReader, judged: dict[tuple[str, str], str]) -> pd.DataFrame:
    try:
        answers = [answer for name in reader.contenders() for answer in reader.completions(name)]
        scores = evaluation.scores(reader)
    except RlhfError:  # another run's damage is shown on that run's pages
        return pd.DataFrame()
    same = {key for a in answers if judged.get(key := (a.prompt_id, a.contender)) == a.text}
    keys = zip(scores["prompt_id"], scores["contender"], strict=True)
    return scores.loc[[key in same for key in keys]]


def _brought_along(entry: RunEntry) -> Results | None:
    path = entry.path / "votes.jsonl"
    return _simulated(entry, file_stamp(path)) if path.is_file() else None


@lru_cache(maxsize=16)
def _simulated(entry: RunEntry, stamp: tuple[int, int]) -> Results | None:
    del stamp  # part of the key only
    return summarise_votes(simulated_votes(entry))


def _scores_file(entry: RunEntry) -> Path:
    return entry.path / "evaluation" / "scores.json"
