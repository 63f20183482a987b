"""What can go wrong around the vote store: a full disk, a file that cannot be written, a server that is gone, kills."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from rlhf_core.errors import VoteError
from rlhf_core.feedback import database
from rlhf_core.feedback.store import VoteStore
from tests.postgres import Server
from tests.vote_factory import judge, make_spec, shown

ROOT = Path(__file__).resolve().parents[3]
KILLS = 20
LABELLER = """
import sys
from rlhf_core.feedback.store import VoteStore
from tests.vote_factory import make_spec
store = VoteStore(sys.argv[1])
task = store.ensure_task(make_spec(size=3000))
while item := store.next_item(task, "ana"):
    print(store.vote(item.token, "tie", reading_seconds=1), flush=True)
"""


def test_a_full_disk_loses_nothing_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "votes.db"
    with closing(VoteStore(path)) as store:
        task = store.ensure_task(make_spec(size=40))
        judge(store, task)
    set_up = database._set_up_sqlite

    def full(connection: sqlite3.Connection, record: object) -> None:
        """As SQLite sees a disk that is full: no page more than there are."""
        set_up(connection, record)
        connection.execute("PRAGMA max_page_count = 1")

    monkeypatch.setattr(database, "_set_up_sqlite", full)
    with closing(VoteStore(path)) as store:
        message = r"votes\.db: the vote store cannot be written: database or disk is full; nothing was recorded.*Check"
        with pytest.raises(VoteError, match=message):
            for seed in range(200):
                store.ensure_task(make_spec(size=40, seed=seed))
    monkeypatch.undo()
    with closing(VoteStore(path)) as store:
        assert len(store.votes(task)) == 1
        judge(store, task)


def test_a_file_that_cannot_be_written_is_reported(tmp_path: Path):
    path = tmp_path / "votes.db"
    VoteStore(path).close()
    with closing(VoteStore(f"sqlite:///file:{path}?mode=ro&uri=true")) as store:
        assert store.tasks() == []
        with pytest.raises(VoteError, match=r"cannot be written: attempt to write a readonly database; nothing was"):
            store.ensure_task(make_spec())


def test_a_server_that_is_not_there_is_named_without_its_password(tmp_path: Path):
    with pytest.raises(VoteError, match=r"^postgresql.*cannot be written: .*Check the disk.*or the server") as caught:
        VoteStore(f"postgresql://ana:secret@/votes?host={tmp_path}")
    assert "secret" not in str(caught.value)


def test_another_program_s_tables_are_left_alone_on_postgresql(postgresql: Server):
    import sqlalchemy as sa

    url = postgresql.database()
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE votes (county text)")
    with pytest.raises(VoteError, match=r"not a vote store.*Give another path or database"):
        VoteStore(url)
    with engine.begin() as connection:
        assert sa.inspect(connection).get_table_names() == ["votes"]
    engine.dispose()


def test_a_replayed_vote_after_the_task_went_on_is_the_same_vote(store: VoteStore):
    task = store.ensure_task(make_spec())
    first = shown(store, task)
    vote_id = store.vote(first.token, "a", reading_seconds=1)
    judge(store, task)
    assert store.vote(first.token, "a", reading_seconds=1) == vote_id
    assert len(store.log(task)) == 2


@pytest.mark.slow
def test_twenty_kills_lose_no_vote_that_was_confirmed(url: str):
    """SIGKILL at a random moment after the first confirmed votes, twenty times in the same store."""
    moments, confirmed = random.Random(0), []
    for _ in range(KILLS):
        command = [sys.executable, "-c", LABELLER, url]
        worker = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert worker.stdout is not None
        confirmed.append(int(worker.stdout.readline()))
        time.sleep(moments.uniform(0, 0.3))
        os.kill(worker.pid, signal.SIGKILL)
        confirmed += [int(line) for line in worker.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        worker.wait()
        worker.stdout.close()
    with closing(VoteStore(url)) as store:
        (info,) = store.tasks()
        stored = store.log(info.id)["vote_id"].tolist()
        assert len(confirmed) > KILLS and set(confirmed) <= set(stored)
        assert len(set(stored) - set(confirmed)) <= KILLS  # at most one a kill, whose confirmation was cut off
        assert not store.votes(info.id).duplicated(["item_id", "labeller"]).any()
