"""The vote store: blindness, sides, double clicks, skip and undo, and the frames."""

from __future__ import annotations

from contextlib import closing
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from rlhf_core.errors import VoteError
from rlhf_core.feedback.records import Assignment, Progress
from rlhf_core.feedback.store import VoteStore
from tests.vote_factory import INSTRUCTIONS, contender_side, judge, make_spec, shown


def test_a_task_is_stored_once(store: VoteStore):
    first = store.ensure_task(make_spec())
    assert store.ensure_task(make_spec()) == first
    assert store.ensure_task(make_spec(seed=1)) != first
    assert len(store.tasks()) == 2


def test_a_task_tells_its_owner_what_was_left_out_and_how_far_it_is(store: VoteStore):
    task = store.ensure_task(make_spec(size=3))
    judge(store, task, "a")
    judge(store, task, "skip")
    judge(store, task, "b", labeller="ben")
    (info,) = store.tasks()
    assert (info.run_name, info.contenders, info.instructions) == ("demo", ("base", "tuned"), INSTRUCTIONS)
    assert (info.items, info.identical, info.unmatched, info.leaks) == (3, 0, 0, ())
    assert (info.votes, info.labellers) == (2, 2)  # the skip is no vote


def test_an_assignment_tells_no_side(store: VoteStore):
    names = {field.name for field in fields(Assignment)}
    assert names == {"token", "item_id", "form", "criteria", "prompt", "category", "texts", "position", "total"}
    item = shown(store, store.ensure_task(make_spec()))
    assert "base" not in repr(item) and "tuned" not in repr(item)
    assert set(item.texts) == {f"old {item.prompt[9:-1]}", f"new {item.prompt[9:-1]}"}


def test_tokens_are_unguessable_and_never_repeat(store: VoteStore):
    task = store.ensure_task(make_spec(size=20))
    tokens = [judge(store, task).token for _ in range(20)]
    assert len(set(tokens)) == 20
    assert min(map(len, tokens)) == 22  # 16 random bytes in base64: 128 bits over 6 a character, rounded up


def test_the_open_item_comes_back_after_a_reload(store: VoteStore, url: str):
    task = store.ensure_task(make_spec())
    judge(store, task)
    before = shown(store, task)
    with closing(VoteStore(url)) as reopened:
        assert reopened.next_item(task, "ana") == before
    assert before.position == 2


def test_every_item_once_then_none(store: VoteStore):
    task = store.ensure_task(make_spec(size=5))
    items = [judge(store, task) for _ in range(5)]
    assert len({item.item_id for item in items}) == 5
    assert [item.position for item in items] == [1, 2, 3, 4, 5]
    assert {item.total for item in items} == {5}
    assert store.next_item(task, "ana") is None
    assert store.progress(task, "ana") == Progress(done=5, total=5)
    assert store.progress(task, "ben") == Progress(done=0, total=5)


def test_items_with_fewest_votes_come_first(store: VoteStore):
    task = store.ensure_task(make_spec(size=6))
    seen = {judge(store, task, labeller="ana").item_id for _ in range(3)}
    assert seen.isdisjoint({judge(store, task, labeller="ben").item_id for _ in range(3)})


@pytest.mark.parametrize("seed", range(5))
def test_sides_are_halved_in_every_prefix(store: VoteStore, seed: int):
    task = store.ensure_task(make_spec(size=11, seed=seed))
    sides = [contender_side(judge(store, task, labeller=f"ana {seed}")) for _ in range(11)]
    for length in range(1, 12):
        assert abs(2 * sides[:length].count("a") - length) <= 1


def test_sides_differ_between_labellers_and_repeat_with_the_seed(tmp_path: Path):
    def sides(name: str, labeller: str, seed: int = 0) -> str:
        with closing(VoteStore(tmp_path / name)) as store:
            task = store.ensure_task(make_spec(size=40, seed=seed))
            return "".join(contender_side(judge(store, task, labeller=labeller)) for _ in range(40))

    ana = sides("1.db", "ana")
    assert ana == sides("2.db", "ana")
    assert ana != sides("3.db", "ana", seed=1)
    assert ana != sides("1.db", "ben")  # equal by chance: 2⁻²⁰
    assert {ana[i : i + 2] for i in range(0, 40, 2)} == {"ab", "ba"}


@pytest.mark.parametrize(
    ("verdict", "contender_is_a", "contender_is_b", "score_a", "score_b"),
    [
        ("a", "contender", "baseline", 1.0, 0.0),
        ("b", "baseline", "contender", 0.0, 1.0),
        ("tie", "tie", "tie", 0.5, 0.5),
        ("both_bad", "both_bad", "both_bad", 0.5, 0.5),
    ],
)
def test_a_verdict_on_a_side_becomes_an_outcome(
    store: VoteStore, verdict: str, contender_is_a: str, contender_is_b: str, score_a: float, score_b: float
):
    task = store.ensure_task(make_spec(size=2))
    sides = [contender_side(judge(store, task, verdict)) for _ in range(2)]
    assert sorted(sides) == ["a", "b"]
    frame = store.votes(task).set_index("contender_side")
    assert frame["outcome"].to_dict() == {"a": contender_is_a, "b": contender_is_b}
    assert frame["score"].to_dict() == {"a": score_a, "b": score_b}
    assert list(store.votes(task)["contender_side"]) == sides


def test_the_votes_frame_holds_everything_about_a_vote(store: VoteStore):
    spec = make_spec(size=1)
    task = store.ensure_task(spec)
    item = shown(store, task, " ana ")
    store.vote(item.token, "tie", reading_seconds=2.5, reason="both kind", simulated=True)
    (row,) = store.votes(task).to_dict("records")
    created = datetime.fromisoformat(row.pop("created_at"))
    assert abs((datetime.now(UTC) - created).total_seconds()) < 60
    assert all(pd.isna(row.pop(name)) for name in ("strength", "repeat_of", "gold"))
    assert row == {
        "vote_id": 1,
        "task_id": task,
        "item_id": item.item_id,
        "prompt_id": "p0",
        "prompt": "Question p0?",
        "category": "helpful",
        "labeller": "ana",
        "baseline": "base",
        "contender": "tuned",
        "criterion": "overall",
        "outcome": "tie",
        "score": 0.5,
        "contender_side": contender_side(item),
        "reading_seconds": 2.5,
        "words": 6,  # Question p0? old p0 new p0
        "length_difference": 0,
        "reason": "both kind",
        "instruction_version": spec.instruction_version,
        "simulated": True,
        "kind": "item",
    }


def test_an_empty_votes_frame_has_the_columns_and_types_of_a_full_one(store: VoteStore):
    task = store.ensure_task(make_spec())
    empty, empty_log = store.votes(task), store.log(task)
    assert len(empty) == len(empty_log) == 0
    judge(store, task)
    pd.testing.assert_series_equal(empty.dtypes, store.votes(task).dtypes)
    assert list(empty_log.columns) == list(store.log(task).columns)


def test_a_double_click_is_one_vote(store: VoteStore):
    task = store.ensure_task(make_spec())
    item = shown(store, task)
    first = store.vote(item.token, "a", reading_seconds=1)
    assert store.vote(item.token, "a", reading_seconds=1.2) == first
    assert len(store.log(task)) == 1


def test_another_verdict_on_the_same_token_is_refused(store: VoteStore):
    task = store.ensure_task(make_spec())
    item = shown(store, task)
    store.vote(item.token, "a", reading_seconds=1)
    with pytest.raises(VoteError, match=r"has a verdict already.*'b'.*Undo it to change it"):
        store.vote(item.token, "b", reading_seconds=1)
    assert list(store.log(task)["verdict"]) == ["a"]


def test_skipped_items_come_back_at_the_end_in_order_with_their_sides(store: VoteStore):
    task = store.ensure_task(make_spec(size=4))
    skipped = [judge(store, task, "skip"), judge(store, task, "skip")]
    fresh = [judge(store, task), judge(store, task)]
    back = [judge(store, task), judge(store, task)]
    assert [item.item_id for item in back] == [item.item_id for item in skipped]
    assert [item.texts for item in back] == [item.texts for item in skipped]
    assert not {item.token for item in back} & {item.token for item in skipped}
    assert {item.item_id for item in fresh}.isdisjoint({item.item_id for item in skipped})
    assert [item.position for item in (*skipped, *fresh, *back)] == [1, 1, 1, 2, 3, 4]
    assert store.next_item(task, "ana") is None
    assert len(store.votes(task)) == 4


def test_undo_takes_back_the_last_vote_and_keeps_it_in_the_log(store: VoteStore):
    task = store.ensure_task(make_spec(size=3))
    judge(store, task, "a")
    last = judge(store, task, "b")
    again = store.undo(task, "ana")
    assert again is not None
    assert (again.item_id, again.texts) == (last.item_id, last.texts)
    assert again.token != last.token
    assert store.progress(task, "ana").done == 1
    store.vote(again.token, "tie", reading_seconds=1)
    log = store.log(task)
    assert list(log["action"]) == ["vote", "vote", "undo", "vote"]
    assert log["supersedes"].tolist()[2] == log["vote_id"].tolist()[1]
    assert len(store.votes(task)) == 2
    assert list(store.votes(task)["outcome"])[1] == "tie"


def test_undo_again_goes_one_vote_further_back(store: VoteStore):
    task = store.ensure_task(make_spec(size=4))
    first, second = judge(store, task), judge(store, task)
    third = shown(store, task)
    assert [getattr(store.undo(task, "ana"), "item_id", None) for _ in range(3)] == [
        second.item_id,
        first.item_id,
        None,
    ]
    assert [judge(store, task).item_id for _ in range(3)] == [first.item_id, second.item_id, third.item_id]


def test_a_skip_can_be_undone(store: VoteStore):
    task = store.ensure_task(make_spec(size=3))
    skipped = judge(store, task, "skip")
    again = store.undo(task, "ana")
    assert again is not None and again.item_id == skipped.item_id
    assert shown(store, task).token == again.token


def test_a_skip_whose_item_came_back_is_not_undone(store: VoteStore):
    task = store.ensure_task(make_spec(size=2))
    skipped, judged = judge(store, task, "skip"), judge(store, task)
    assert shown(store, task).item_id == skipped.item_id
    again = store.undo(task, "ana")
    assert again is not None and again.item_id == judged.item_id
    assert store.undo(task, "ana") is None


def test_undo_leaves_other_labellers_and_tasks_alone(store: VoteStore):
    task, other = store.ensure_task(make_spec()), store.ensure_task(make_spec(seed=9))
    judge(store, task, labeller="ana")
    judge(store, task, labeller="ben")
    judge(store, other, labeller="ana")
    assert store.undo(task, "cy") is None
    store.undo(task, "ana")
    assert list(store.votes(task)["labeller"]) == ["ben"]
    assert len(store.votes(other)) == 1


def test_a_late_click_on_an_undone_token_is_refused(store: VoteStore):
    task = store.ensure_task(make_spec())
    item = judge(store, task, "a")
    store.undo(task, "ana")
    with pytest.raises(VoteError, match=r"was undone.*new token.*Reload the judging page"):
        store.vote(item.token, "a", reading_seconds=1)


def test_labellers_begin_at_different_items(store: VoteStore):
    """Each alone in a task of the same order: that all eight begin at one of 12 by chance has the odds 12⁻⁷."""
    tasks = [store.ensure_task(replace(make_spec(size=12), run_name=f"task {n}")) for n in range(8)]
    first = {item.texts for n, task in enumerate(tasks) if (item := store.next_item(task, f"labeller {n}"))}
    assert len({tuple(sorted(texts)) for texts in first}) > 1


def test_the_seed_decides_the_order_of_items(store: VoteStore):
    """Read from one prompt on: where in the order somebody begins depends on the task and their name."""
    orders = []
    for seed in (1, 2):
        task = store.ensure_task(make_spec(8, seed))
        seen = [judge(store, task).prompt for _ in range(8)]
        start = seen.index(min(seen))
        orders.append(seen[start:] + seen[:start])
    assert orders[0] != orders[1] and sorted(orders[0]) == sorted(orders[1])
