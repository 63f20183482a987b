"""The judging task that is a run's own, its base against its tuned answers, and the votes on it in a vote database.

A task is the run's own when its content is that of the run's answers as they lie there now, whatever else is called by the
run's name: the dashboard and the report ask here.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pandas as pd

from rlhf_core.errors import RunError
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import TaskSpec, build_task
from rlhf_core.runs.reader import RunReader

BASELINE, CONTENDER = "base", "tuned"


def has_own_task(run: RunReader) -> bool:
    """Say whether a run has answers of both contenders."""
    return {BASELINE, CONTENDER} <= set(run.contenders())


def own_task(run: RunReader, instructions: str = "as stored") -> TaskSpec:
    """Return a run's own task; instructions make no difference to which one it is.

    Raises:
        RunError: the run lacks answers of one contender.
        DataError: blank instructions, damaged answers, or none that differ.
    """
    if not has_own_task(run):
        raise RunError(
            "completions of both contenders are needed", where=run.path, remedy="`rlhf generate` writes them"
        )
    sides = run.completions(BASELINE), run.completions(CONTENDER)
    return build_task(run.name, sides, instructions, int(run.config().get("seed", 0)))


def votes_of_run(run: Path, database: Path | str) -> pd.DataFrame | None:
    """Return the votes on the run's own task, or None when the database or the task is not there.

    Raises:
        RunError: there is no such run.
    """
    reader = RunReader(run.resolve())
    if not has_own_task(reader) or ("://" not in str(database) and not Path(database).is_file()):
        return None
    with closing(VoteStore(database)) as store:
        task = store.find_task(own_task(reader))
        return None if task is None else store.votes(task)
