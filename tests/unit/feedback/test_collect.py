"""The votes of a run: those on the task whose content is the run's own answers."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rlhf_core.errors import RunError
from rlhf_core.feedback.collect import judging_of_run, own_task
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import TaskDesign, build_task
from rlhf_core.runs.reader import RunReader
from tests.run_factory import write_run


def store_task(store: VoteStore, path: Path, votes: int, **design: Any) -> int:
    """Store a task of the run's base and tuned answers under its name, with so many votes."""
    reader = RunReader(path)
    sides = [reader.completions("base"), reader.completions("tuned")]
    task = store.ensure_task(build_task(path.name, sides, "Choose.", 0, TaskDesign(**design)))
    for _ in range(votes):
        assignment = store.next_item(task, "ana")
        assert assignment is not None
        store.vote(assignment.token, "a", reading_seconds=1.0)
    return task


def test_a_runs_votes_are_those_on_its_own_answers_whatever_shares_its_name(tmp_path: Path) -> None:
    """Of the run's own task 3 votes; 1 on another run's, 2 on a newer one made with overlap under the run's name."""
    run, other = write_run(tmp_path / "mine"), write_run(tmp_path / "other")
    database = tmp_path / "votes.db"
    with closing(VoteStore(database)) as store:
        own = store_task(store, run, 3)
        store_task(store, other, 1)
        assert store_task(store, run, 2, overlap=2) > own
    gathered = judging_of_run(run, f"sqlite:///{database}")
    assert gathered is not None and gathered.votes["task_id"].tolist() == [own] * 3


def test_votes_on_answers_that_have_changed_since_are_not_the_runs(tmp_path: Path) -> None:
    run = write_run(tmp_path / "mine")
    with closing(VoteStore(tmp_path / "votes.db")) as store:
        store_task(store, run, 2)
    path = run / "completions" / "tuned.jsonl"
    first, *rest = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([json.dumps(json.loads(first) | {"text": "Another answer."}), *rest]), encoding="utf-8")
    assert judging_of_run(run, tmp_path / "votes.db") is None


def test_a_run_without_both_answers_has_no_votes_and_no_task(tmp_path: Path) -> None:
    run = write_run(tmp_path / "mine")
    with closing(VoteStore(tmp_path / "votes.db")) as store:
        store_task(store, run, 1)
    (run / "completions" / "tuned.jsonl").unlink()
    assert judging_of_run(run, tmp_path / "votes.db") is None
    with pytest.raises(
        RunError, match=r"mine: completions of both contenders are needed\. `rlhf generate` writes them"
    ):
        own_task(RunReader(run))


def test_no_database_and_no_task_are_no_votes(tmp_path: Path) -> None:
    run = write_run(tmp_path / "mine")
    assert judging_of_run(run, tmp_path / "votes.db") is None
    VoteStore(tmp_path / "votes.db").close()
    assert judging_of_run(run, tmp_path / "votes.db") is None


def test_a_missing_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such run"):
        judging_of_run(tmp_path / "none", tmp_path / "votes.db")
