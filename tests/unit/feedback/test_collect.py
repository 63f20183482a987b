"""The votes of a run, found in a database by the run's name."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from rlhf_core.errors import RunError
from rlhf_core.feedback.collect import votes_of_run
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import build_task
from rlhf_core.runs.reader import RunReader
from tests.run_factory import write_run
from tests.vote_factory import judge


def test_only_votes_on_the_runs_own_newest_task_are_gathered(tmp_path: Path) -> None:
    run, other = write_run(tmp_path / "mine"), write_run(tmp_path / "other")
    database = tmp_path / "votes.db"
    store = VoteStore(database)
    for path, seed, votes in ((run, 0, 1), (run, 1, 3), (other, 0, 2)):
        reader = RunReader(path)
        sides = [reader.completions("base"), reader.completions("tuned")]
        spec = build_task(path.name, sides, "Choose.", seed)
        task = store.ensure_task(spec)
        for _ in range(votes):
            assignment = store.next_item(task, "ana")
            assert assignment is not None
            store.vote(assignment.token, "a", reading_seconds=1.0)
    store.close()
    gathered = votes_of_run(run, database)
    assert gathered is not None and len(gathered) == 3


def test_votes_on_answers_that_the_run_no_longer_holds_are_left_out(tmp_path: Path) -> None:
    run = write_run(tmp_path / "mine")
    reader, database = RunReader(run), tmp_path / "votes.db"
    with closing(VoteStore(database)) as store:
        task = store.ensure_task(
            build_task("mine", [reader.completions("base"), reader.completions("tuned")], "Choose.", 0)
        )
        items = [judge(store, task).item_id for _ in range(2)]
        first = store.texts(task)[items[0]]
    path = run / "completions" / "tuned.jsonl"
    path.write_text(path.read_text().replace(json.dumps(first["texts"]["tuned"])[1:-1], "Written anew."))
    kept = votes_of_run(run, f"sqlite:///{database}")
    assert kept is not None and kept["item_id"].tolist() == items[1:]


def test_no_database_and_no_task_are_no_votes(tmp_path: Path) -> None:
    run = write_run(tmp_path / "mine")
    assert votes_of_run(run, tmp_path / "votes.db") is None
    VoteStore(tmp_path / "votes.db").close()
    assert votes_of_run(run, tmp_path / "votes.db") is None


def test_a_missing_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such run"):
        votes_of_run(tmp_path / "none", tmp_path / "votes.db")
