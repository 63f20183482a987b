"""As many people judge an item as planned, never one more: claims that run out, clocks, threads, states, several tasks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from rlhf_core.errors import VoteError
from rlhf_core.feedback.claims import HOLD_SECONDS
from rlhf_core.feedback.store import VoteStore
from tests.clock import Clock
from tests.vote_factory import judge, make_spec, shown


def test_each_item_is_judged_by_as_many_as_planned(store: VoteStore):
    task = store.ensure_task(make_spec(size=4, overlap=2))
    for labeller in ("ana", "ben", "cy"):
        while item := store.next_item(task, labeller):
            store.vote(item.token, "tie", reading_seconds=1)
    frame = store.votes(task)
    assert frame.groupby("item_id").size().tolist() == [2] * 4
    assert set(frame["labeller"]) == {"ana", "ben"}  # both places of every item were gone when cy came
    info = store.task(task)
    assert (info.judged, info.places, info.votes) == (8, 8, 8)


def test_an_item_on_somebodys_screen_is_not_given_to_another(store: VoteStore):
    task = store.ensure_task(make_spec(size=1, overlap=1))
    mine = shown(store, task, "ana")
    assert store.next_item(task, "ben") is None
    assert shown(store, task, "ana") == mine


def test_an_item_left_lying_goes_to_another_and_the_late_vote_is_refused(timed: VoteStore, clock: Clock):
    task = timed.ensure_task(make_spec(size=1, overlap=1))
    late = shown(timed, task, "ana")
    clock.now += 30 * 60 - 1
    assert timed.next_item(task, "ben") is None
    clock.now += 1
    judge(timed, task, labeller="ben")
    with pytest.raises(VoteError, match=r"judged by as many people as planned: the vote was not recorded.*Reload"):
        timed.vote(late.token, "a", reading_seconds=1)
    assert timed.next_item(task, "ana") is None
    assert timed.votes(task)["labeller"].tolist() == ["ben"]


def test_a_late_vote_counts_while_there_is_room(timed: VoteStore, clock: Clock):
    task = timed.ensure_task(make_spec(size=1, overlap=1))
    late = shown(timed, task, "ana")
    clock.now += 10 * HOLD_SECONDS
    timed.vote(late.token, "a", reading_seconds=1)
    assert timed.next_item(task, "ben") is None


def test_looking_at_an_item_again_keeps_it_longer(timed: VoteStore, clock: Clock):
    task = timed.ensure_task(make_spec(size=1, overlap=1))
    first = shown(timed, task, "ana")
    clock.now += HOLD_SECONDS - 1
    assert shown(timed, task, "ana") == first
    clock.now += HOLD_SECONDS - 1
    assert timed.next_item(task, "ben") is None


def test_a_clock_that_goes_back_loses_and_doubles_nothing(timed: VoteStore, clock: Clock):
    task = timed.ensure_task(make_spec(size=3, overlap=1))
    judge(timed, task, "a", labeller="ana")
    clock.now -= 86_400
    judge(timed, task, "b", labeller="ben")
    undone = timed.undo(task, "ben")
    assert undone is not None
    clock.now -= 86_400
    timed.vote(undone.token, "tie", reading_seconds=1)
    judge(timed, task, "a", labeller="ana")
    assert timed.log(task)["action"].tolist() == ["vote", "vote", "undo", "vote", "vote"]
    assert timed.votes(task)["labeller"].tolist() == ["ana", "ben", "ana"]
    assert timed.next_item(task, "cy") is None


def test_an_undone_vote_stays_its_labellers(store: VoteStore):
    task = store.ensure_task(make_spec(size=1, overlap=1))
    judge(store, task, labeller="ana")
    again = store.undo(task, "ana")
    assert again is not None and store.next_item(task, "ben") is None
    store.vote(again.token, "a", reading_seconds=1)
    assert len(store.votes(task)) == 1


def test_a_skipped_item_is_free_for_others_and_comes_back_only_while_it_is(store: VoteStore):
    task = store.ensure_task(make_spec(size=1, overlap=1))
    judge(store, task, "skip", labeller="ana")
    judge(store, task, labeller="ben")
    assert store.next_item(task, "ana") is None
    with pytest.raises(VoteError, match="others have judged the skipped item since"):
        store.undo(task, "ana")
    assert store.log(task)["action"].tolist() == ["skip", "vote"]  # the refused undo left no row
    store.undo(task, "ben")
    judge(store, task, "skip", labeller="ben")
    assert shown(store, task, "ana").position == 1  # there is room again


@pytest.mark.parametrize("overlap", [1, 3])
def test_simultaneous_labellers_never_overshoot(store: VoteStore, overlap: int):
    task = store.ensure_task(make_spec(size=5, overlap=overlap))
    together = Barrier(8)

    def work(labeller: str) -> int:
        together.wait()
        given = 0
        while item := store.next_item(task, labeller):
            store.vote(item.token, "a", reading_seconds=0)
            given += 1
        return given

    with ThreadPoolExecutor(8) as threads:
        given = sum(threads.map(work, [f"person {n}" for n in range(8)]))
    frame = store.votes(task)
    assert given == len(frame) == 5 * overlap
    assert frame.groupby("item_id").size().tolist() == [overlap] * 5
    assert not frame.duplicated(["item_id", "labeller"]).any()


def test_a_paused_task_gives_nothing_new_and_a_closed_one_takes_nothing(store: VoteStore):
    task = store.ensure_task(make_spec(size=3), state="draft")
    with pytest.raises(VoteError, match=r"demo: judging is not open yet.*Ask whoever made the task"):
        store.next_item(task, "ana")
    store.set_state(task, "open")
    first = shown(store, task)
    store.set_state(task, "paused")
    with pytest.raises(VoteError, match="judging is paused"):
        store.next_item(task, "ana")
    store.vote(first.token, "a", reading_seconds=1)  # it was on the screen
    store.set_state(task, "open")
    second = shown(store, task)
    store.set_state(task, "closed")
    with pytest.raises(VoteError, match="the task is closed: the vote was not recorded"):
        store.vote(second.token, "a", reading_seconds=1)
    assert store.task(task).state == "closed" and len(store.votes(task)) == 1
    with pytest.raises(VoteError, match=r"unknown state of a task .found 'shut'.*draft, open, paused, closed"):
        store.set_state(task, "shut")


def test_revised_instructions_are_a_new_version_of_the_same_task(store: VoteStore):
    task = store.ensure_task(make_spec())
    judge(store, task)
    assert store.ensure_task(make_spec(instructions="Be strict.")) == task
    judge(store, task)
    store.ensure_task(make_spec(instructions="Be strict."))
    versions = store.votes(task)["instruction_version"].tolist()
    assert versions == [make_spec().instruction_version, make_spec(instructions="Be strict.").instruction_version]
    assert store.task(task).instructions == "Be strict."
