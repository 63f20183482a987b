"""Rankings, several criteria, strengths, gold items and hidden repeats."""

from __future__ import annotations

import pytest

from rlhf_core.data.records import Completion, Ranking
from rlhf_core.errors import DataError, VoteError
from rlhf_core.feedback.assign import REPEAT_GAP
from rlhf_core.feedback.records import Assignment
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import TaskDesign, TaskSpec, build_task
from rlhf_core.feedback.verdicts import comparisons, on_places
from tests.vote_factory import INSTRUCTIONS, completion, judge, make_spec, shown

NAMES = ("base", "sft", "tuned")
GOLD = Ranking(
    id="g",
    prompt="Which?",
    completions=[Completion(id=name, text=name) for name in ("bad", "best", "good")],
    ranking=[["best"], ["good"], ["bad"]],
)


def three(size: int = 2, **design: object) -> TaskSpec:
    """Return a task of three contenders, who write "base 0", "sft 0", …"""
    sides = [[completion(f"p{n}", name, f"{name} {n}") for n in range(size)] for name in NAMES]
    return build_task("three", sides, INSTRUCTIONS, 0, TaskDesign(**design))  # type: ignore[arg-type]


def as_shown(item: Assignment, *order: str) -> str:
    """Return the ranking that puts contenders in this order, best first; `=` between names is a tie."""
    letter = {text.split()[0]: "abc"[n] for n, text in enumerate(item.texts)}
    return ">".join("=".join(letter[name] for name in group.split("=")) for group in order)


def test_a_ranking_becomes_its_comparisons(store: VoteStore):
    """tuned > base = sft: of the three pairs base–sft is a tie and tuned wins the other two."""
    task = store.ensure_task(three(form="ranking"))
    item = shown(store, task)
    assert (item.form, len(item.texts)) == ("ranking", 3)
    store.vote(item.token, as_shown(item, "tuned", "base=sft"), reading_seconds=1)
    rows = store.votes(task)[["baseline", "contender", "outcome", "score"]].values.tolist()
    assert rows == [
        ["base", "sft", "tie", 0.5],
        ["base", "tuned", "contender", 1.0],
        ["sft", "tuned", "contender", 1.0],
    ]
    assert store.progress(task, "ana").done == 1


def test_pairs_of_three_contenders_are_three_items_a_prompt(store: VoteStore):
    spec = three()
    assert [[name for name, _ in item.completions] for item in spec.items[:3]] == [
        ["base", "sft"], ["base", "tuned"], ["sft", "tuned"],
    ]  # fmt: skip
    task = store.ensure_task(spec)
    while item := store.next_item(task, "ana"):
        store.vote(item.token, as_shown(item, *sorted(t.split()[0] for t in item.texts))[0], reading_seconds=1)
    frame = store.votes(task)
    assert len(frame) == 6 and (frame["outcome"] == "baseline").all()  # the first of the alphabet won every time


@pytest.mark.parametrize("verdict", ["a>b", "a>b>b", "a>b>c>d", "c=b>", "tie", ""])
def test_a_ranking_names_every_completion_once(store: VoteStore, verdict: str):
    task = store.ensure_task(three(form="ranking"))
    with pytest.raises(VoteError, match=r"not a ranking of 3 completions.*every letter of abc once.*a>b>c; = is a tie"):
        store.vote(shown(store, task).token, verdict, reading_seconds=1)


def test_comparisons_by_hand():
    """Shown as places 2, 0, 1: "b>a=c" means place 0 before 2 and 1, which are equal."""
    assert on_places("b>a=c", "201") == "a>b=c"
    assert list(comparisons("a>b=c", 3)) == [(0, 1, "baseline"), (0, 2, "baseline"), (1, 2, "tie")]
    assert on_places("a", "10") == "b" and on_places("both_bad", "10") == "both_bad"
    assert list(comparisons("b", 2)) == [(0, 1, "contender")]


def test_every_criterion_gets_its_verdict_and_strength(store: VoteStore):
    task = store.ensure_task(make_spec(size=2, criteria=("helpful", "harmless")))
    item = shown(store, task)
    store.vote(item.token, {"helpful": "a", "harmless": "tie"}, reading_seconds=1, strength={"helpful": 3})
    frame = store.votes(task).set_index("criterion")
    assert frame.loc["helpful", "strength"] == 3 and frame["strength"].isna().tolist() == [True, False]
    assert frame.loc["harmless", "outcome"] == "tie" and len(frame) == 2
    assert store.task(task).votes == 1
    token = shown(store, task).token
    with pytest.raises(VoteError, match=r"a verdict on every criterion .found \['helpful'\].*helpful, harmless"):
        store.vote(token, {"helpful": "a"}, reading_seconds=1)
    with pytest.raises(VoteError, match=r"unknown strength .found \{'helpful': 4\}"):
        store.vote(token, {"helpful": "a", "harmless": "a"}, reading_seconds=1, strength={"helpful": 4})


def test_the_same_verdicts_twice_are_one_vote_and_one_changed_is_refused(store: VoteStore):
    task = store.ensure_task(make_spec(criteria=("helpful", "harmless")))
    token = shown(store, task).token
    first = store.vote(token, {"helpful": "a", "harmless": "b"}, reading_seconds=1)
    assert store.vote(token, {"harmless": "b", "helpful": "a"}, reading_seconds=2) == first
    with pytest.raises(VoteError, match="has a verdict already"):
        store.vote(token, {"helpful": "a", "harmless": "a"}, reading_seconds=1)


def with_gold(size: int, golds: int = 1, **design: object) -> TaskSpec:
    sides = [[completion(f"p{n}", name, f"{name} {n}") for n in range(size)] for name in ("base", "tuned")]
    gold = [GOLD.model_copy(update={"id": f"g{n}"}) for n in range(golds)]
    return build_task("demo", sides, INSTRUCTIONS, 0, TaskDesign(**design), gold)  # type: ignore[arg-type]


def test_gold_items_come_among_the_others_to_everybody_and_count_apart(store: VoteStore):
    task = store.ensure_task(with_gold(4, gold_every=2, overlap=1))
    for labeller in ("ana", "ben"):
        kinds = []
        while item := store.next_item(task, labeller):
            kinds.append(item.prompt == "Which?")
            right = "ab"[item.texts.index("best")] if kinds[-1] else "tie"
            store.vote(item.token, right, reading_seconds=1)
            if len(kinds) == 3:
                break
        assert kinds == [False, False, True]
    gold = store.votes(task, kinds=("gold",))
    assert gold["labeller"].tolist() == ["ana", "ben"]
    assert (gold["outcome"] == gold["gold"]).all() and set(gold["kind"]) == {"gold"}
    assert {*gold["baseline"], *gold["contender"]} == {"gold:bad", "gold:best"}
    assert len(store.votes(task)) == 4 and store.votes(task)["gold"].isna().all()
    assert store.task(task).items == 4 and store.progress(task, "ana").total == 5


def test_a_gold_item_comes_after_so_many_others_whatever_gold_was_judged(store: VoteStore):
    task = store.ensure_task(with_gold(6, golds=3, gold_every=2))
    kinds = [judge(store, task).prompt == "Which?" for _ in range(9)]
    assert kinds == [False, False, True] * 3


def test_a_gold_item_that_was_skipped_comes_back(store: VoteStore):
    task = store.ensure_task(with_gold(2, gold_every=1))
    judge(store, task)
    skipped = judge(store, task, "skip")
    judge(store, task)
    assert shown(store, task).item_id == skipped.item_id and set(skipped.texts) == {"best", "bad"}


@pytest.mark.parametrize(("form", "verdict"), [("pairwise", "b"), ("ranking", "b>c>a")])
def test_gold_keeps_its_right_verdict(form: str, verdict: str):
    """Completions in the order of the file: bad, best, good. A pair is the best and the worst: bad, best."""
    design = TaskDesign(form=form)  # type: ignore[arg-type]
    sides = [[completion("p", name, name)] for name in ("base", "tuned")]
    item = build_task("demo", sides, INSTRUCTIONS, 0, design, [GOLD]).items[-1]
    assert item.gold == verdict
    tie = GOLD.model_copy(update={"ranking": [["bad", "best", "good"]]})
    with pytest.raises(DataError, match=r"g: a gold item must say what is better than what"):
        build_task("demo", sides, INSTRUCTIONS, 0, design, [tie])


def test_a_repeat_is_hidden_swapped_and_counts_apart(store: VoteStore):
    task = store.ensure_task(make_spec(size=12, repeat_every=6))
    seen = [judge(store, task, "a") for _ in range(14)]
    assert store.next_item(task, "ana") is None
    again = [n for n, item in enumerate(seen) if item.item_id in {s.item_id for s in seen[:n]}]
    assert again == [
        REPEAT_GAP + 1,
        10,
    ]  # the first as soon as it may, the second after nine items: not when gold is due
    for n in again:
        first = next(item for item in seen if item.item_id == seen[n].item_id)
        assert seen[n].texts == first.texts[::-1] and seen[n].token != first.token
    assert len(store.votes(task)) == 12 and not store.votes(task).duplicated("item_id").any()
    repeats = store.votes(task, kinds=("repeat",))
    assert repeats["repeat_of"].tolist() == repeats["item_id"].tolist() == [seen[n].item_id for n in again]
    both = store.votes(task, kinds=("item", "repeat")).groupby("item_id")["outcome"].nunique()
    assert sorted(both[both > 1].index) == sorted(repeats["item_id"])  # A both times, sides swapped: never the same


def test_an_undone_repeat_comes_back_as_it_was(store: VoteStore):
    task = store.ensure_task(make_spec(size=12, repeat_every=6))
    seen = [judge(store, task)]
    while seen[-1].item_id not in {item.item_id for item in seen[:-1]}:
        seen.append(judge(store, task))
    again = store.undo(task, "ana")
    assert again is not None and (again.item_id, again.texts) == (seen[-1].item_id, seen[-1].texts)
    assert shown(store, task) == again
    store.vote(again.token, "tie", reading_seconds=1)
    assert len(store.votes(task, kinds=("repeat",))) == 1
