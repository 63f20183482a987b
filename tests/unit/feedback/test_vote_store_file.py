"""The vote store's file: opening it, sharing it between threads and processes, and surviving a kill."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from rlhf_core.errors import VoteError
from rlhf_core.feedback.store import VoteStore
from tests.vote_factory import make_spec

ROOT = Path(__file__).resolve().parents[3]
LABELLER = """
import sys
from rlhf_core.feedback.store import VoteStore
from tests.vote_factory import make_spec
store = VoteStore(sys.argv[1])
task = store.ensure_task(make_spec(size=int(sys.argv[3])))
while item := store.next_item(task, sys.argv[2]):
    print(store.vote(item.token, "tie", reading_seconds=1), flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "votes.db"


@pytest.fixture
def store(path: Path) -> Iterator[VoteStore]:
    """What is tested here is the file."""
    with closing(VoteStore(path)) as opened:
        yield opened


def start_labeller(path: Path, labeller: str, size: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", LABELLER, str(path), labeller, str(size)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_path_a_string_and_a_url_open_the_same_store(tmp_path: Path):
    path = tmp_path / "new folder" / "votes.db"
    with closing(VoteStore(path)) as store:
        task = store.ensure_task(make_spec())
    for same in (str(path), f"sqlite:///{path}"):
        with closing(VoteStore(same)) as store:
            assert [info.id for info in store.tasks()] == [task]


def test_the_file_is_in_wal_mode(store: VoteStore, path: Path):
    with closing(sqlite3.connect(path)) as outside:
        assert outside.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_writer_waits_for_the_one_before_it(store: VoteStore, path: Path):
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as outside:
        outside.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as thread:
            waiting = thread.submit(store.ensure_task, make_spec())
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.3)
            outside.execute("ROLLBACK")
            assert waiting.result(timeout=20) == 1


def test_readers_go_on_while_somebody_writes(store: VoteStore, path: Path):
    task = store.ensure_task(make_spec())
    with closing(sqlite3.connect(path, isolation_level=None)) as outside:
        outside.execute("BEGIN IMMEDIATE")
        assert store.votes(task).empty
        assert store.progress(task, "ana").total == 6
        outside.execute("ROLLBACK")


def test_other_databases_are_refused():
    with pytest.raises(VoteError, match=r"kept in SQLite or PostgreSQL .*sqlite:///path or postgresql://"):
        VoteStore("mysql://localhost/votes")


def test_nonsense_instead_of_a_url_is_refused():
    with pytest.raises(VoteError, match=r"not a database URL .found '://votes'"):
        VoteStore("://votes")


def test_a_file_that_is_no_database_is_refused(path: Path):
    path.write_text("these are not the votes you are looking for\n" * 50)
    with pytest.raises(
        VoteError, match=r"votes\.db: cannot be opened as a vote store: file is not a database.*another path"
    ):
        VoteStore(path)


def test_a_folder_that_cannot_be_made_is_refused(path: Path):
    path.write_text("a file")
    with pytest.raises(VoteError, match=r"votes\.db: no folder for the votes: File exists\. Give a path in a folder"):
        VoteStore(path / "votes.db")


def test_a_folder_instead_of_a_file_is_refused(tmp_path: Path):
    with pytest.raises(VoteError, match="the vote store cannot be written: unable to open database file"):
        VoteStore(tmp_path)


def test_a_lock_that_never_ends_is_reported(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rlhf_core.feedback.database.BUSY_MS", 50)
    with closing(VoteStore(path)) as store, closing(sqlite3.connect(path, isolation_level=None)) as outside:
        outside.execute("BEGIN IMMEDIATE")
        with pytest.raises(VoteError, match=r"cannot be written: database is locked; nothing was recorded.*try again"):
            store.ensure_task(make_spec())
        outside.execute("ROLLBACK")
        assert store.tasks() == []


def test_somebody_elses_database_is_left_alone(path: Path):
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE books (title)")
    with pytest.raises(VoteError, match=r"votes\.db: not a vote store\. Give another path"):
        VoteStore(path)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("books",)]


def test_a_store_of_a_later_version_is_refused(store: VoteStore, path: Path):
    with closing(sqlite3.connect(path)) as later:
        later.execute("UPDATE vote_store_revision SET version_num = '9999'")
        later.commit()
    with pytest.raises(VoteError, match=r"made by a later version .found '9999'.. Update this program: .* to 0005"):
        VoteStore(path)


def test_simultaneous_double_clicks_are_one_vote(store: VoteStore):
    task = store.ensure_task(make_spec())
    item = store.next_item(task, "ana")
    assert item is not None
    together = Barrier(8)

    def click(_: int) -> int:
        together.wait()
        return store.vote(item.token, "a", reading_seconds=1)

    with ThreadPoolExecutor(8) as threads:
        ids = set(threads.map(click, range(8)))
    assert len(ids) == 1
    assert len(store.log(task)) == 1


def test_simultaneous_contradicting_clicks_keep_exactly_one(store: VoteStore):
    task = store.ensure_task(make_spec())
    item = store.next_item(task, "ana")
    assert item is not None
    together = Barrier(2)

    def click(verdict: str) -> bool:
        together.wait()
        try:
            store.vote(item.token, verdict, reading_seconds=1)  # type: ignore[arg-type]
        except VoteError:
            return False
        return True

    with ThreadPoolExecutor(2) as threads:
        kept = list(threads.map(click, ["a", "b"]))
    assert sorted(kept) == [False, True]
    assert list(store.log(task)["verdict"]) == [["a", "b"][kept.index(True)]]


def test_two_tabs_of_one_labeller_get_the_same_item(store: VoteStore):
    task = store.ensure_task(make_spec())
    together = Barrier(4)

    def load(_: int) -> object:
        together.wait()
        return store.next_item(task, "ana")

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(load, range(4)))) == 1


def test_processes_that_make_the_store_together_share_one_task(path: Path):
    size, labellers = 12, ["ana", "ben", "ana"]
    workers = [start_labeller(path, labeller, size) for labeller in labellers]
    output = [worker.communicate(timeout=120) for worker in workers]
    # Two windows of "ana" may meet on one token: the same verdict is the same vote, or the item is judged already.
    assert [worker.returncode for worker in workers] == [0, 0, 0], output
    with closing(VoteStore(path)) as store:
        (info,) = store.tasks()
        frame = store.votes(info.id)
    assert frame.groupby("labeller").size().to_dict() == {"ana": size, "ben": size}
    assert not frame.duplicated(["labeller", "item_id"]).any()


def test_a_kill_loses_no_vote_that_was_confirmed(path: Path):
    worker = start_labeller(path, "ana", 2000)
    assert worker.stdout is not None and worker.stderr is not None
    confirmed = [int(worker.stdout.readline()) for _ in range(5)]
    os.kill(worker.pid, signal.SIGKILL)
    confirmed += [int(line) for line in worker.stdout.read().splitlines() if line]
    worker.wait()
    worker.stdout.close()
    worker.stderr.close()
    with closing(sqlite3.connect(path)) as outside:
        assert outside.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with closing(VoteStore(path)) as store:
        task = store.ensure_task(make_spec(size=2000))
        stored = store.log(task)["vote_id"].tolist()
        assert stored[: len(confirmed)] == confirmed
        assert len(stored) - len(confirmed) in (0, 1)  # at most the one whose confirmation was cut off
        item = store.next_item(task, "ana")
        assert item is not None and item.position == len(stored) + 1
        store.vote(item.token, "a", reading_seconds=1)
