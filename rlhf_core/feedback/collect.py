"""The judging task that is a run's own, and the votes on it in a vote database: the dashboard and the report ask here.

A run's own task compares its base with its tuned answers as they lie there now, whatever else is called by the run's name; a
later round's is the one that was made for it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rlhf_core.data.contenders import round_name
from rlhf_core.errors import RunError, VoteError
from rlhf_core.feedback.frames import KINDS
from rlhf_core.feedback.records import InstructionVersion
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import TaskSpec, build_task
from rlhf_core.runs.reader import RunReader

BASELINE, CONTENDER = "base", "tuned"


def existing_store(database: str) -> VoteStore:
    """Open a vote store that is there: reading never makes an empty one.

    Raises:
        VoteError: there is no such file.
    """
    if "://" not in database and not Path(database).is_file():
        remedy = "`rlhf task create` makes one; --votes names another"
        raise VoteError("no vote database", where=database, remedy=remedy)
    return VoteStore(database)


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


def find_own_task(store: VoteStore, run: RunReader, build: Callable[[RunReader], TaskSpec] = own_task) -> int | None:
    """Return the id of the run's own task, None while it is not stored; `build` is for who keeps what `own_task` returns.

    Of a later round it is the one made for it, which compares `tuned` with the round before as well.
    """
    lineage = run.lineage()
    if lineage is not None and lineage.next_task is not None:
        earlier = round_name(lineage.round - 1)
        return next((t.id for t in store.tasks() if t.id == lineage.next_task and earlier in t.contenders), None)
    return store.find_task(build(run)) if has_own_task(run) else None


@dataclass(frozen=True)
class Judging:
    """What people said on a run's own task, gold items and repeats too, and the instructions they were given."""

    votes: pd.DataFrame
    instructions: tuple[InstructionVersion, ...]


def judging_of_run(run: Path, database: Path | str) -> Judging | None:
    """Return the votes on the run's own task with its instructions, or None when the database file or the task is not there.

    Raises:
        RunError: there is no such run.
        VoteError: the database cannot be opened.
    """
    reader = RunReader(run.resolve())
    if "://" not in str(database) and not Path(database).is_file():
        return None
    with closing(VoteStore(database)) as store:
        task = find_own_task(store, reader)
        return None if task is None else Judging(store.votes(task, KINDS), store.versions(task))
