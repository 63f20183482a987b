"""Old stores go on as if nothing had happened; a migrated store is what the tables in the code say."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from rlhf_core.data.records import Message
from rlhf_core.feedback.database import Database
from rlhf_core.feedback.schema import metadata, places
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import build_task
from tests.vote_factory import completion, judge, make_spec, shown

VERSION_1 = """
CREATE TABLE tasks (id INTEGER PRIMARY KEY, fingerprint VARCHAR NOT NULL UNIQUE, run_name VARCHAR NOT NULL,
  baseline VARCHAR NOT NULL, contender VARCHAR NOT NULL, instructions VARCHAR NOT NULL, instruction_version VARCHAR NOT NULL,
  seed INTEGER NOT NULL, identical INTEGER NOT NULL, unmatched INTEGER NOT NULL, leaks INTEGER NOT NULL,
  created_at VARCHAR NOT NULL);
CREATE TABLE items (id INTEGER PRIMARY KEY, task_id INTEGER NOT NULL REFERENCES tasks (id), prompt_id VARCHAR NOT NULL,
  prompt VARCHAR NOT NULL, category VARCHAR NOT NULL, baseline_text VARCHAR NOT NULL, contender_text VARCHAR NOT NULL,
  UNIQUE (task_id, prompt_id));
CREATE TABLE assignments (id INTEGER PRIMARY KEY, token VARCHAR NOT NULL UNIQUE,
  item_id INTEGER NOT NULL REFERENCES items (id), labeller VARCHAR NOT NULL, showing INTEGER NOT NULL,
  contender_side VARCHAR NOT NULL CHECK (contender_side IN ('a', 'b')), created_at VARCHAR NOT NULL,
  UNIQUE (item_id, labeller, showing));
CREATE TABLE votes (id INTEGER PRIMARY KEY AUTOINCREMENT, assignment_id INTEGER NOT NULL REFERENCES assignments (id),
  verdict VARCHAR NOT NULL CHECK (verdict IN ('a', 'b', 'tie', 'both_bad', 'skip', 'undo')),
  supersedes INTEGER UNIQUE REFERENCES votes (id), reading_seconds FLOAT NOT NULL, reason VARCHAR NOT NULL,
  simulated BOOLEAN NOT NULL, created_at VARCHAR NOT NULL, CHECK ((verdict = 'undo') = (supersedes IS NOT NULL)));
CREATE UNIQUE INDEX one_vote_per_token ON votes (assignment_id) WHERE verdict != 'undo';
CREATE TRIGGER votes_refuse_delete BEFORE DELETE ON votes BEGIN SELECT RAISE(ABORT, 'votes are append-only'); END;
CREATE TRIGGER votes_refuse_update BEFORE UPDATE ON votes BEGIN SELECT RAISE(ABORT, 'votes are append-only'); END;
PRAGMA user_version = 1;
"""
VERSION_4 = ("ALTER TABLE items DROP COLUMN history", "UPDATE vote_store_revision SET version_num = '0004'")
VERSION_3 = (
    *VERSION_4,
    "DROP TABLE places",
    "DROP INDEX claims_of_a_labeller",
    "DROP INDEX claims_that_run_out",
    "DROP INDEX repeats_of_a_labeller",
    "CREATE INDEX claims_of_a_labeller ON claims (task_id, labeller)",
    "UPDATE vote_store_revision SET version_num = '0003'",
)
THEN = "2026-11-20T10:00:00.000Z"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store of version 1: of four pairs ana judged p0 (contender, then undone), p1 (B: baseline), skipped p2 and has p0 open."""
    path, spec = tmp_path / "votes.db", make_spec(size=4)
    with closing(sqlite3.connect(path)) as file:
        file.executescript(VERSION_1)
        row = (7, spec.first_fingerprint, "demo", "base", "tuned", spec.instructions, spec.instruction_version)
        file.execute("INSERT INTO tasks VALUES (?,?,?,?,?,?,?,0,0,0,0,?)", (*row, THEN))
        for n in range(4):
            texts = (f"p{n}", f"Question p{n}?", "helpful", f"old {n}", f"new {n}")
            file.execute("INSERT INTO items VALUES (?,7,?,?,?,?,?)", (20 + n, *texts))
        for n, (item, showing, side) in enumerate([(20, 1, "a"), (21, 1, "a"), (22, 1, "b"), (20, 2, "a")]):
            file.execute(
                "INSERT INTO assignments VALUES (?,?,?,'ana',?,?,?)", (n, f"token {n}", item, showing, side, THEN)
            )
        for vote in ((1, 0, "a", None), (2, 1, "b", None), (3, 2, "skip", None), (4, 0, "undo", 1)):
            file.execute("INSERT INTO votes VALUES (?,?,?,?,2.5,'because',0,?)", (*vote, THEN))
        file.commit()
    return path


def test_an_old_store_keeps_its_votes_tokens_and_places(old: Path):
    with closing(VoteStore(old)) as store:
        (info,) = store.tasks()
        assert (info.id, info.contenders, info.state, info.items, info.votes) == (7, ("base", "tuned"), "open", 4, 1)
        assert info.instruction_version == make_spec().instruction_version
        (vote,) = store.votes(7).to_dict("records")
        told = [vote[name] for name in ("item_id", "prompt_id", "outcome", "contender_side", "reason", "created_at")]
        assert told == [21, "p1", "baseline", "a", "because", THEN]
        assert store.log(7)["action"].tolist() == ["vote", "vote", "skip", "undo"]
        waiting = shown(store, 7)
        assert (waiting.token, waiting.item_id, waiting.position, waiting.texts) == (
            "token 3",
            20,
            2,
            ("new 0", "old 0"),
        )
        store.vote("token 3", "a", reading_seconds=1)
        order = []
        while item := store.next_item(7, "ana"):
            order.append(item.item_id)
            store.vote(item.token, "tie", reading_seconds=1)
        assert order == [23, 22]  # the fresh one, then the skipped one


def places_taken(url: str | Path) -> dict[int, int]:
    with closing(Database(url)) as database, database.read() as connection:
        return {row.item_id: row.taken for row in connection.execute(sa.select(places))}


def test_the_places_taken_in_an_old_store_are_counted(old: Path):
    """p1 is judged. p0 was undone and was kept for nobody then, p2 is skipped."""
    VoteStore(old).close()
    assert places_taken(old) == {20: 0, 21: 1, 22: 0, 23: 0}


def test_the_places_taken_in_a_store_of_version_3_are_counted(url: str):
    with closing(VoteStore(url)) as store:
        task = store.ensure_task(make_spec(size=6, overlap=2))
        for labeller, verdict in (("ana", "tie"), ("ana", "skip"), ("ben", "a"), ("cy", "b")):
            judge(store, task, verdict, labeller)
        for labeller in ("ana", "cy"):
            shown(store, task, labeller)
    before = places_taken(url)
    with closing(Database(url)) as database, database.write() as connection:
        for change in VERSION_3:
            connection.exec_driver_sql(change)
    assert places_taken(url) == before and sum(before.values()) == 5


def test_items_of_a_store_of_version_4_have_no_history_and_new_ones_have(url: str):
    start = [Message(role="user", content="Hi"), Message(role="assistant", content="Well\0, \\")]
    asked = "User: Hi\n\nAssistant: Well\0, \\\n\nUser: And?"
    sides = [[completion("p", name, name, asked).model_copy(update={"history": start})] for name in ("base", "tuned")]
    plain, going_on = make_spec(size=1), build_task("talk", sides, "Choose.", 0)
    with closing(VoteStore(url)) as store:
        before = store.ensure_task(plain)
    with closing(Database(url)) as database, database.write() as connection:
        for change in VERSION_4:
            connection.exec_driver_sql(change)
    with closing(VoteStore(url)) as store:
        after = store.ensure_task(going_on)
        assert [item["history"] for item in store.texts(before).values()] == [[]]
        (item,) = store.texts(after).values()
    assert item["history"] == [turn.model_dump() for turn in start] and item["prompt"] == asked


def test_the_task_of_an_old_store_is_found_again(old: Path):
    with closing(VoteStore(old)) as store:
        assert store.ensure_task(make_spec(size=4)) == 7
        assert store.ensure_task(make_spec(size=4, instructions="Revised.")) == 7  # and its instructions are revised
        assert store.ensure_task(make_spec(size=4)) == 7
        assert store.find_task(make_spec(size=4, instructions="Unknown to it.")) == 7
        assert store.ensure_task(make_spec(size=3)) == 8


def test_an_old_program_refuses_what_is_new(old: Path):
    VoteStore(old).close()
    with closing(sqlite3.connect(old)) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (2,)


def test_a_migration_that_fails_leaves_everything_as_it_was(old: Path, monkeypatch: pytest.MonkeyPatch):
    with closing(sqlite3.connect(old)) as file:
        before = list(file.iterdump())
    monkeypatch.setattr("rlhf_core.feedback.database.SQLITE_VERSION", "no number")
    with pytest.raises(Exception, match="syntax error"):
        VoteStore(old)
    with closing(sqlite3.connect(old)) as file:
        assert list(file.iterdump()) == before


def test_the_migrated_schema_is_that_of_the_tables(url: str):
    with closing(Database(url)) as database, database.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "version_table": "vote_store_revision"}
        )
        assert compare_metadata(context, metadata) == []
        checks = {
            (table.name, check["name"])
            for table in metadata.sorted_tables
            for check in sa.inspect(connection).get_check_constraints(table.name)
        }
    declared = {
        (table.name, check.name)
        for table in metadata.sorted_tables
        for check in (*table.constraints, *(one for column in table.columns for one in column.constraints))
        if isinstance(check, sa.CheckConstraint)
    }
    assert checks == declared


def test_opening_a_store_again_changes_nothing(url: str):
    with closing(VoteStore(url)) as store:
        task = store.ensure_task(make_spec())
    with closing(VoteStore(url)) as store:
        assert [info.id for info in store.tasks()] == [task]
