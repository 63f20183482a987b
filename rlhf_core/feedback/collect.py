"""Gather the votes that belong to a run from a vote database."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pandas as pd

from rlhf_core.errors import RunError
from rlhf_core.feedback.store import VoteStore
from rlhf_core.runs.reader import RunReader


def votes_of_run(run: Path, database: str | Path) -> pd.DataFrame | None:
    """Return the votes on the newest task of the run, or None when the database file or the task is not there.

    Votes on answers that the run no longer holds are left out: they are votes on something else. `database` is a path or
    a URL.

    Raises:
        RunError: there is no such run.
        VoteError: the database cannot be opened.
    """
    if not run.is_dir():
        raise RunError("no such run", where=run, remedy="`rlhf runs` lists the runs that are there")
    if "://" not in str(database) and not Path(database).is_file():
        return None
    with closing(VoteStore(database)) as store:
        tasks = [task.id for task in store.tasks() if task.run_name == run.resolve().name]
        if not tasks:
            return None
        kept, votes = _items_of(run, store, max(tasks)), store.votes(max(tasks))
    return votes.loc[votes["item_id"].isin(kept)].reset_index(drop=True)


def _items_of(run: Path, store: VoteStore, task_id: int) -> list[int]:
    """Return the task's items whose answers are all the run's."""
    reader = RunReader(run)
    answers = {(c.prompt_id, name): c.text for name in reader.contenders() for c in reader.completions(name)}
    return [
        item_id
        for item_id, item in store.texts(task_id).items()
        if all(answers.get((item["prompt_id"], name)) == text for name, text in item["texts"].items())
    ]
