"""Results of a run's own pairs or of a made task, read from the store once for each length of its log."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd

from dashboard.services import evaluation
from dashboard.services.access import READ
from dashboard.services.addresses import answers_address
from dashboard.services.catalogue import RunEntry, list_entries
from dashboard.services.comparing import compare_pair, pairs_of
from dashboard.services.results import Results, summarise_votes
from dashboard.services.settings import Settings
from dashboard.services.voting import file_stamp, open_store, own_task_id, simulated_votes, votes_of
from rlhf_core.errors import RlhfError
from rlhf_core.report.parts import Votes
from rlhf_core.runs.reader import RunReader

Stamped = tuple[Path, tuple[int, int]]


@dataclass(frozen=True)
class Source:
    """The run that has the answers that were judged.

    `same` are those that it still has word by word, as (prompt_id, contender); None where all of its answers are.
    """

    path: Path
    same: frozenset[tuple[str, str]] | None = None


@dataclass(frozen=True)
class Judged:
    """What people said, and apart from it what simulated voters did; None where there is no vote, or no run has the answers."""

    human: Results | None
    simulated: Results | None
    source: Source | None


def results_of_run(settings: Settings, entry: RunEntry) -> Judged:
    """Return the results of the run's own pairs, base against tuned.

    Raises:
        RunError, DataError: votes, completions or scores are damaged.
        AccessError: a labeller asks.
    """
    settings.visitor.require(READ)
    task = own_task_id(settings, entry)
    human = results_of_task(settings, task, [entry]).human if task is not None else None
    return Judged(human, _brought_along(entry), Source(entry.path))


def addresses(settings: Settings, judged: Judged, pair: Votes, url: str | None) -> dict[str, str]:
    """Return by prompt where the two answers that were judged are compared; `url` is where this page is seen.

    A prompt whose answers no run has any more, as they were judged, is left out; so are all of a run that is damaged, which its
    own pages say.

    Raises:
        AccessError: a labeller asks.
    """
    source = judged.source
    entry = next((run for run in list_entries(settings) if source and run.path == source.path), None)
    if source is None or entry is None:
        return {}
    with suppress(RlhfError):
        either = {(pair.baseline, pair.contender), (pair.contender, pair.baseline)}
        for sides in either & {*pairs_of(entry)}:
            prompts = compare_pair(entry, *sides).rows["prompt_id"].tolist()
            kept = [one for one in prompts if source.same is None or {(one, side) for side in sides} <= source.same]
            return {prompt: answers_address(url, entry.label, sides, prompt) for prompt in kept}
    return {}


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
    path, scores = scores_of_texts(open_store(url).texts(task_id).values(), [path for path, _ in scored])
    people = ~votes["simulated"].to_numpy(bool)
    overlap = task.overlap or 1
    human, simulated = (summarise_votes(votes.loc[kind], overlap, scores, task.criteria) for kind in (people, ~people))
    same = frozenset(zip(scores["prompt_id"], scores["contender"], strict=True))
    return Judged(human, simulated, Source(path, same) if path else None)


def scores_of_texts(shown: Iterable[dict], runs: Iterable[Path]) -> tuple[Path | None, pd.DataFrame]:
    """Return the run that has most of the texts that were shown, with their scores; None and no rows where none has any.

    A text is looked up by prompt id, contender and its very words: an answer written anew has other scores.
    """
    judged = {(one["prompt_id"], name): text for one in shown for name, text in one["texts"].items()}
    found = {path: part for path in runs if len(part := _known_scores(RunReader(path), judged))}
    none = (None, pd.DataFrame(columns=evaluation.SCORE_COLUMNS))
    return max(found.items(), key=lambda one: len(one[1]), default=none)


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
