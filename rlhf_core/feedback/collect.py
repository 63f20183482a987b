"""Gather the votes that belong to a run from a vote database."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from rlhf_core.errors import RunError
from rlhf_core.feedback.store import VoteStore


def votes_of_run(run: Path, database: Path) -> pd.DataFrame | None:
    """Return the votes on the newest task of the run, or None when the database or the task is not there.

    Raises:
        RunError: there is no such run.
    """
    if not run.is_dir():
        raise RunError("no such run", where=run, remedy="`rlhf runs` lists the runs that are there")
    if not database.is_file():
        return None
    store = VoteStore(database)
    try:
        tasks = [task for task in store.tasks() if task.run_name == run.resolve().name]
        return store.votes(max(tasks, key=lambda task: task.id).id) if tasks else None
    finally:
        store.close()
