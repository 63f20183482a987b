"""The number of places taken that is kept with each item is the number of claims that take one, and is what a click reads."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from rlhf_core.errors import VoteError
from rlhf_core.feedback.claims import HOLD_SECONDS
from rlhf_core.feedback.database import Database
from rlhf_core.feedback.schema import claims, items, places
from rlhf_core.feedback.store import VoteStore
from tests.clock import Clock
from tests.vote_factory import judge, make_spec, shown

LABELLERS = ("ana", "ben", "cy", "di", "eve")
OVERLAP = 2


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with closing(Database(url)) as opened:
        yield opened


def kept_and_counted(database: Database) -> tuple[dict[int, int], dict[int, int]]:
    """What `places` says of each item, and the same counted from the claims one by one."""
    with database.read() as connection:
        kept = {row.item_id: row.taken for row in connection.execute(sa.select(places))}
        counted = dict.fromkeys(connection.scalars(sa.select(items.c.id).where(items.c.kind == "item")), 0)
        for claim in connection.execute(sa.select(claims).where(claims.c.kind == "item")):
            counted[claim.item_id] += claim.state == "judged" or (claim.state == "held" and claim.until > 0)
    return kept, counted


def open_places(database: Database, labeller: str, now: float) -> dict[int, int]:
    """The items with room that a labeller never saw, each with the claims that take a place at this moment."""
    with database.read() as connection:
        found = connection.execute(sa.select(claims)).all()
        ordinary = list(connection.scalars(sa.select(items.c.id).where(items.c.kind == "item")))
    seen = {claim.item_id for claim in found if claim.labeller == labeller}
    taking = [c.item_id for c in found if c.state == "judged" or (c.state == "held" and c.until > now)]
    return {item: taking.count(item) for item in ordinary if item not in seen and taking.count(item) < OVERLAP}


def take_a_turn(store: VoteStore, task: int, labeller: str, drawn: random.Random, tokens: list[str]) -> int | None:
    """Do something that a labeller might; return the item shown when it was asked for."""
    match drawn.choice(["look", "look", "tie", "tie", "skip", "undo", "late"]):
        case "look":
            if (item := store.next_item(task, labeller)) is not None:
                tokens.append(item.token)
                return item.item_id
        case "undo":
            store.undo(task, labeller)
        case "late" if tokens:
            store.vote(drawn.choice(tokens), "tie", reading_seconds=1)
        case verdict:
            if (item := store.next_item(task, labeller)) is not None:
                store.vote(item.token, verdict if verdict == "skip" else "tie", reading_seconds=1)
    return None


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_done_the_number_kept_is_the_number_of_claims(
    timed: VoteStore, database: Database, clock: Clock, seed: int
):
    drawn, tokens = random.Random(seed), []
    task = timed.ensure_task(make_spec(size=7, overlap=OVERLAP, repeat_every=4))
    for _ in range(80):
        clock.now += drawn.choice([1, 1, 60, HOLD_SECONDS / 2, HOLD_SECONDS, -90, -HOLD_SECONDS])
        labeller = drawn.choice(LABELLERS)
        fresh = open_places(database, labeller, clock.now)
        try:
            item = take_a_turn(timed, task, labeller, drawn, tokens)
        except VoteError:
            item = None
        assert item not in fresh or fresh[item] == min(fresh.values())
        kept, counted = kept_and_counted(database)
        assert kept == counted and max(kept.values()) <= OVERLAP
    assert len(timed.log(task)) > 20 and max(timed.votes(task)["item_id"].value_counts()) <= OVERLAP


def test_a_hold_that_ran_out_is_offered_before_what_others_have(timed: VoteStore, clock: Clock, database: Database):
    for seed in range(4):  # so that it is not the place where cy begins
        task = timed.ensure_task(make_spec(size=2, seed=seed, overlap=2))
        left = shown(timed, task, "ana")
        judge(timed, task, labeller="ben")
        clock.now += HOLD_SECONDS
        assert shown(timed, task, "cy").item_id == left.item_id
        kept, counted = kept_and_counted(database)
        assert kept == counted and kept[left.item_id] == 1


def test_a_clock_that_goes_back_gives_no_place_twice(timed: VoteStore, clock: Clock):
    task = timed.ensure_task(make_spec(size=1, overlap=1))
    late = shown(timed, task, "ana")
    clock.now += HOLD_SECONDS
    prompt = shown(timed, task, "ben")
    clock.now -= HOLD_SECONDS
    timed.vote(prompt.token, "a", reading_seconds=1)
    with pytest.raises(VoteError, match="judged by as many people as planned"):
        timed.vote(late.token, "b", reading_seconds=1)
    assert timed.votes(task)["labeller"].tolist() == ["ben"]


def test_a_late_vote_counts_when_the_next_one_s_time_is_over_too(timed: VoteStore, clock: Clock):
    task = timed.ensure_task(make_spec(size=1, overlap=1))
    late = shown(timed, task, "ana")
    for labeller in ("ben", "cy"):
        clock.now += HOLD_SECONDS
        shown(timed, task, labeller)
    clock.now += HOLD_SECONDS
    timed.vote(late.token, "a", reading_seconds=1)
    assert timed.next_item(task, "ben") is None and timed.votes(task)["labeller"].tolist() == ["ana"]


def test_who_left_an_item_lying_finds_it_again_while_there_is_room(timed: VoteStore, clock: Clock):
    task = timed.ensure_task(make_spec(size=3, overlap=2))
    left = shown(timed, task, "ana")
    clock.now += HOLD_SECONDS
    while timed.next_item(task, "ben"):
        judge(timed, task, labeller="ben")
    assert shown(timed, task, "ana") == left


def test_a_click_is_as_much_work_among_many_votes_as_among_few(tmp_path: Path):
    """Counted in tens of SQLite's instructions, which no other program on the machine can change."""
    with closing(VoteStore(tmp_path / "votes.db")) as store:
        task = store.ensure_task(make_spec(size=300, overlap=3, repeat_every=4))
        counted = 0

        def count() -> int:
            nonlocal counted
            counted += 1
            return 0

        with store._database.read() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.set_progress_handler(count, 10)

        def work(labeller: str) -> int:
            before = counted
            for _ in range(12):
                judge(store, task, labeller=labeller)
            return counted - before

        few = work("ana")
        for n in range(400):
            judge(store, task, labeller=f"person {n % 8}")
        assert few > 100 and work("ben") < 1.5 * few
