"""What the vote store refuses, what SQLite itself refuses, and text that must survive as it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, IntegrityError

from rlhf_core.errors import VoteError
from rlhf_core.feedback.people import PeopleStore
from rlhf_core.feedback.schema import APPEND_ONLY
from rlhf_core.feedback.store import VoteStore
from tests.vote_factory import judge, make_spec, shown


@contextmanager
def outside(url: str) -> Iterator[sa.Connection]:
    """A connection that is not the store's."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_an_unknown_token_is_refused(store: VoteStore):
    with pytest.raises(VoteError, match=r"unknown token: the vote was not recorded .*'nonsense'.*Reload the"):
        store.vote("nonsense", "a", reading_seconds=1)


@pytest.mark.parametrize("verdict", ["undo", "A", ""])
def test_an_unknown_verdict_is_refused(store: VoteStore, verdict: str):
    item = shown(store, store.ensure_task(make_spec()))
    with pytest.raises(VoteError, match=f"unknown verdict .found '{verdict}'.*a, b, tie, both_bad"):
        store.vote(item.token, verdict, reading_seconds=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_impossible_reading_times_are_refused(store: VoteStore, seconds: float):
    item = shown(store, store.ensure_task(make_spec()))
    with pytest.raises(VoteError, match="reading_seconds must be 0 or more"):
        store.vote(item.token, "a", reading_seconds=seconds)


def test_a_labeller_needs_a_name_and_a_task_must_exist(store: VoteStore):
    task = store.ensure_task(make_spec())
    for method in (store.next_item, store.undo, store.progress):
        with pytest.raises(VoteError, match=r"the labeller has no name .*Give a name"):
            method(task, "  ")
        with pytest.raises(VoteError, match=r"vote store: no such task .found 99"):
            method(99, "ana")
    for frame in (store.votes, store.log):
        with pytest.raises(VoteError, match="no such task"):
            frame(99)


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("change", ["UPDATE {0} SET {1} = ''", "DELETE FROM {0}"])
def test_the_database_itself_refuses_to_change_what_was_written(store: VoteStore, url: str, table: str, change: str):
    judge(store, store.ensure_task(make_spec()))
    with closing(PeopleStore(url)) as people:
        joined = people.join(people.invite("ana", "labeller"))
        assert joined
        people.leave(joined[0])
    with outside(url) as connection, pytest.raises(DatabaseError, match=f"{table} are append-only"):
        connection.exec_driver_sql(change.format(table, "verdict" if table == "verdicts" else "created_at"))


def test_the_schema_allows_one_vote_a_token_and_one_undo_a_vote(store: VoteStore, url: str):
    task = store.ensure_task(make_spec())
    judge(store, task)
    store.undo(task, "ana")
    columns = "assignment_id, action, supersedes, reading_seconds, reason, simulated, created_at"
    copy = f"INSERT INTO votes ({columns}) SELECT {columns} FROM votes WHERE id = "
    for vote_id in (1, 2):
        with outside(url) as connection, pytest.raises(IntegrityError, match=r"(?i)unique constraint"):
            connection.exec_driver_sql(copy + str(vote_id))


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "**bold** [x](http://y)", "שלום", "👩‍🔬", "a\x00b", "\u2028", ""]
)
def test_any_text_comes_back_as_it_was(store: VoteStore, text: str):
    spec = make_spec(size=1)
    item = type(spec.items[0])("p0", text or " ", "", (("base", "old"), ("tuned", text)))
    task = store.ensure_task(type(spec)(**vars(spec) | {"items": (item,)}))
    assert text in shown(store, task).texts
    assert shown(store, task).prompt == (text or " ")
