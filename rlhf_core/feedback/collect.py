"""Gather the votes that belong to a run from a vote database."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from rlhf_core.errors import RunError, VoteError
from rlhf_core.feedback.store import VoteStore
from rlhf_core.runs.reader import RunReader


def existing_store(database: str) -> VoteStore:
    """Open a vote store that is there: reading never makes an empty one.

    Raises:
        VoteError: there is no such file.
    """
    if "://" not in database and not Path(database).is_file():
        remedy = "`rlhf task create` makes one; --votes names another"
        raise VoteError("no vote database", where=database, remedy=remedy)
    return VoteStore(database)


def votes_of_run(run: Path, database: Path) -> pd.DataFrame | None:
    """Return the votes on the newest task of the run, or None when the database or the task is not there.

    A later round's are those on the task that was made for it.

    Raises:
        RunError: there is no such run.
    """
    if not run.is_dir():
        raise RunError("no such run", where=run, remedy="`rlhf runs` lists the runs that are there")
    if not database.is_file():
        return None
    store = VoteStore(database)
    try:
        lineage = RunReader(run).lineage()
        made_for = lineage.next_task if lineage else None
        tasks = [t for t in store.tasks() if (t.id == made_for if made_for else t.run_name == run.resolve().name)]
        return store.votes(max(tasks, key=lambda task: task.id).id) if tasks else None
    finally:
        store.close()
