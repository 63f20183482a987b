"""How a task is doing: labellers, votes an item, versions of the instructions, and reading times."""

from __future__ import annotations

from contextlib import closing

import pytest

from rlhf_core.errors import VoteError
from rlhf_core.feedback.records import LabellerProgress
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import TaskDesign, build_task
from tests.unit.feedback.test_forms import GOLD, three
from tests.vote_factory import INSTRUCTIONS, completion, judge, make_spec, shown

THEN = 1_800_000_000.0  # 2027-01-15 08:00 UTC


@pytest.fixture
def store(url: str):
    """A store whose clock stands still."""
    with closing(VoteStore(url, clock=lambda: THEN)) as opened:
        yield opened


def test_labellers_are_told_apart_by_what_they_judged(store: VoteStore):
    """Ana judges 4 of 6 (one taken back: 3), ben 1 and skips 1, a rule 1."""
    task = store.ensure_task(make_spec(size=6))
    for verdict in "abab":
        judge(store, task, verdict)
    store.undo(task, "ana")
    judge(store, task, "a", labeller="ben")
    judge(store, task, "skip", labeller="ben")
    store.vote(shown(store, task, "rule").token, "a", reading_seconds=1, simulated=True)
    last = "2027-01-15T08:00:00.000Z"
    assert store.overview(task).labellers == (
        LabellerProgress("ana", 3, 0, 0, 0, last),
        LabellerProgress("ben", 1, 0, 0, 0, last),
        LabellerProgress("rule", 1, 0, 0, 1, last),
    )


def test_gold_items_and_repeats_are_counted_apart(store: VoteStore):
    """8 pairs, one gold item after every 4, a repeat after every 8 (the first after 4, once 5 others lie between)."""
    sides = [[completion(f"p{n}", name, f"{name} {n}") for n in range(8)] for name in ("base", "tuned")]
    task = store.ensure_task(build_task("g", sides, INSTRUCTIONS, 0, TaskDesign(gold_every=4, repeat_every=8), [GOLD]))
    while store.next_item(task, "ana"):
        judge(store, task)
    (ana,) = store.overview(task).labellers
    assert (ana.judged, ana.golds, ana.repeats) == (8, 1, 1)
    assert store.overview(task).items_by_votes == {1: 8}


def test_items_are_counted_by_their_votes(store: VoteStore):
    """Of 5 pairs ana judges 3; items with fewest votes come first, so ben's 3 are the other 2 and one of ana's."""
    task = store.ensure_task(make_spec(size=5))
    assert store.overview(task).items_by_votes == {0: 5}
    for labeller in ("ana", "ben"):
        for _ in range(3):
            judge(store, task, labeller=labeller)
    assert store.overview(task).items_by_votes == {1: 4, 2: 1}


def test_votes_keep_the_instructions_they_were_given_under(store: VoteStore):
    task = store.ensure_task(make_spec())
    judge(store, task)
    judge(store, task)
    store.revise(task, "Prefer what is true.")
    judge(store, task)
    store.revise(task, "Prefer what is true.")  # the same again is no new version
    versions = store.versions(task)
    assert [(one.text, one.votes) for one in versions] == [(INSTRUCTIONS, 2), ("Prefer what is true.", 1)]
    assert store.votes(task)["instruction_version"].tolist() == [one.version for one in versions[:1] * 2 + versions[1:]]
    assert store.task(task).instructions == "Prefer what is true."


def test_an_item_on_a_screen_is_judged_under_what_its_labeller_read(store: VoteStore):
    task = store.ensure_task(make_spec())
    item = shown(store, task)
    store.revise(task, "New.")
    store.vote(item.token, "a", reading_seconds=1)
    assert [one.votes for one in store.versions(task)] == [1, 0]


def test_instructions_that_say_nothing_are_refused(store: VoteStore):
    task = store.ensure_task(make_spec())
    with pytest.raises(VoteError, match=r"the task has no instructions\. Say what labellers should prefer"):
        store.revise(task, " \n")
    with pytest.raises(VoteError, match="no such task"):
        store.revise(task + 1, "New.")
    with pytest.raises(VoteError, match="no such task"):
        store.overview(task + 1)


def test_reading_times_are_peoples_newest_of_that_form(store: VoteStore):
    """Given 1, 2, 0 (not known), 3 simulated, and 9 on a ranking."""
    pairs, ranking = store.ensure_task(make_spec()), store.ensure_task(three(form="ranking"))
    for seconds, simulated in ((1, False), (2, False), (0, False), (3, True)):
        store.vote(shown(store, pairs).token, "a", reading_seconds=seconds, simulated=simulated)
    store.vote(shown(store, ranking).token, "a>b>c", reading_seconds=9)
    assert store.reading_times("pairwise") == [2, 1]
    assert store.reading_times("pairwise", most=1) == [2]
    assert store.reading_times("ranking") == [9]


def test_a_task_is_found_by_its_content_alone(store: VoteStore):
    task = store.ensure_task(make_spec())
    store.revise(task, "Other.")
    assert store.find_task(make_spec(instructions="Any.")) == task
    assert store.find_task(make_spec(overlap=2)) is None and store.find_task(make_spec(size=5)) is None
    assert len(store.tasks()) == 1
