"""Automatic judges of a run's own pairs or of a task: language models' verdicts, which are no votes."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pandas as pd

from dashboard.services.access import READ
from dashboard.services.catalogue import RunEntry
from dashboard.services.settings import Settings
from dashboard.services.voting import file_stamp, open_store, own_task_id, votes_of
from rlhf_core.report.auto_judges import (
    auto_judges,
    folder_of_run,
    folder_of_task,
    share_or_dash,
    shown_texts,
    texts_of_run,
)
from rlhf_core.report.judge_parts import AutoJudge

Stamps = tuple[tuple[int, int], ...]


def auto_judges_of_run(settings: Settings, entry: RunEntry) -> tuple[AutoJudge, ...]:
    """Return the automatic judges of a run's own pairs, compared with people where they have judged them.

    Raises:
        DataError: a file of verdicts is damaged.
        AccessError: a labeller asks.
    """
    settings.visitor.require(READ)
    folder = folder_of_run(entry.path)
    if not folder.is_dir():
        return ()
    task = own_task_id(settings, entry)
    return _read(settings, folder, task) if task is not None else auto_judges(folder, None, texts_of_run(entry.reader))


def auto_judges_of_task(settings: Settings, task_id: int) -> tuple[AutoJudge, ...]:
    """Return the automatic judges of a task.

    Raises:
        DataError: a file of verdicts is damaged.
        AccessError: a labeller asks.
    """
    settings.visitor.require(READ)
    folder = folder_of_task(settings.votes, task_id, settings.run_root)
    return _read(settings, folder, task_id) if folder.is_dir() else ()


def numbers(judges: tuple[AutoJudge, ...]) -> pd.DataFrame:
    """Return every judge's figures, a row for each comparison."""
    return pd.DataFrame(
        {
            "judge": judge.name,
            "comparison": f"{one.contender} against {one.baseline}",
            "criterion": one.criterion,
            "items": one.items,
            "no verdict in form": one.unclear,
            "wins": one.outcomes["contender"],
            "losses": one.outcomes["baseline"],
            "ties": one.outcomes["tie"],
            "of these by order": one.swayed,
            "both bad": one.outcomes["both_bad"],
            "win rate": share_or_dash(one.win_rate),
            "same in both orders": share_or_dash(one.stands),
            "shown first chosen": share_or_dash(one.first),
        }
        for judge in judges
        for one in judge.judged
    )


def _read(settings: Settings, folder: Path, task: int) -> tuple[AutoJudge, ...]:
    stamps = tuple(file_stamp(file) for file in sorted(folder.glob("*.jsonl")))
    return _judges(folder, stamps, settings.votes, task, open_store(settings.votes).log_size(task))


@lru_cache(maxsize=16)
def _judges(folder: Path, stamps: Stamps, url: str, task: int, size: int) -> tuple[AutoJudge, ...]:
    del stamps  # part of the key only
    votes = votes_of(url, task, size)
    people = votes.loc[~votes["simulated"].to_numpy(bool) & (votes["kind"] == "item").to_numpy()]
    return auto_judges(folder, people, shown_texts(open_store(url).texts(task)))
