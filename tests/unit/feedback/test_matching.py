"""Which prompts make a task: categories, the draw, and what is left out with its reason."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlhf_core.data.records import ContenderCompletion
from rlhf_core.errors import DataError
from rlhf_core.feedback.leaks import find_leaks
from rlhf_core.feedback.matching import LeftOut, Selection
from rlhf_core.feedback.tasks import TaskDesign, TaskSpec, build_task
from tests.vote_factory import INSTRUCTIONS, completion


def side(name: str, *answers: str) -> list[ContenderCompletion]:
    """Answers of one contender; `p1:helpful:text` is prompt, category and text."""
    return [
        completion(prompt, name, text).model_copy(update={"category": category})
        for prompt, category, text in (answer.split(":") for answer in answers)
    ]


BASE = side("base", "p1:helpful:old", "p2:honest:same", "p3:harmless:old", "p5:helpful:old")
NEW = side("new", "p1:helpful:new", "p2:honest:same", "p4:helpful:new", "p5:helpful:new")


def plan(categories: tuple[str, ...] | None = None, prompts: int | None = None, seed: int = 0) -> TaskSpec:
    return build_task("t", [BASE, NEW], INSTRUCTIONS, seed, selection=Selection(categories, prompts))


def test_every_completion_that_drops_out_is_named_with_its_reason():
    spec = plan()
    assert [item.prompt_id for item in spec.items] == ["p1", "p5"]
    assert spec.left_out == (
        LeftOut("p3", ("base",), "unanswered"),
        LeftOut("p4", ("new",), "unanswered"),
        LeftOut("p2", ("base", "new"), "alike"),
    )
    assert (spec.unmatched, spec.identical) == (2, 1)


def test_of_three_contenders_all_must_have_answered():
    third = side("third", "p1:helpful:other")
    spec = build_task("t", [BASE, NEW, third], INSTRUCTIONS, 0, TaskDesign(form="ranking"))
    assert [item.prompt_id for item in spec.items] == ["p1"]
    assert LeftOut("p5", ("base", "new"), "unanswered") in spec.left_out


def test_a_category_leaves_the_others_out():
    spec = plan(("honest", "helpful"))
    assert [item.prompt_id for item in spec.items] == ["p1", "p5"]
    assert [(one.prompt_id, one.reason) for one in spec.left_out] == [
        ("p3", "category"), ("p4", "unanswered"), ("p2", "alike"),
    ]  # fmt: skip
    assert spec.unmatched == 1  # p3 is no longer asked for


def test_what_is_not_drawn_is_left_out():
    spec = plan(prompts=1)
    (kept,) = {item.prompt_id for item in spec.items}
    (other,) = {"p1", "p5"} - {kept}
    assert spec.left_out[-1] == LeftOut(other, ("base", "new"), "not drawn")
    assert spec.fingerprint != plan().fingerprint and plan(prompts=2).fingerprint == plan().fingerprint


def test_a_drawn_prompt_comes_with_all_its_pairs():
    sides = [[completion(f"p{n}", name, f"{name} {n}") for n in range(9)] for name in ("a", "b", "c")]
    spec = build_task("t", sides, INSTRUCTIONS, 1, TaskDesign(), selection=Selection(prompts=4))
    assert sorted(Counter(item.prompt_id for item in spec.items).values()) == [3, 3, 3, 3]


def drawn(seed: int, prompts: int, order: list[int]) -> set[str]:
    sides = [[completion(f"p{n}", name, f"{name} {n}") for n in order] for name in ("a", "b")]
    return {
        item.prompt_id for item in build_task("t", sides, INSTRUCTIONS, seed, selection=Selection(None, prompts)).items
    }


@given(st.integers(0, 9), st.integers(1, 11), st.permutations(range(12)))
def test_a_larger_draw_holds_the_smaller_one_whatever_the_order_of_the_files(seed: int, size: int, order: list[int]):
    smaller, larger = drawn(seed, size, order), drawn(seed, size + 1, list(range(12)))
    assert len(smaller) == size and smaller < larger


def test_the_seed_draws():
    """Of 12 prompts 6 can be drawn in 924 ways: twenty seeds that all draw the same would be no accident."""
    assert len({frozenset(drawn(seed, 6, list(range(12)))) for seed in range(20)}) > 10


def test_a_selection_that_cannot_be_made_is_refused():
    with pytest.raises(
        DataError, match=r"t: no prompt of this category \(found \['kind'\]\)\. There are: \['harmless', "
    ):
        plan(("helpful", "kind"))
    with pytest.raises(DataError, match=r"t: fewer prompts than are to be drawn \(found 3\)\. 2 can be judged"):
        plan(prompts=3)
    with pytest.raises(DataError, match="nothing to judge: 0 prompts in common"):
        plan(("harmless",), prompts=1)


@pytest.mark.parametrize("text", ["Ask the tuned model.", "This is quickstart.", "I am quickstart/tuned"])
def test_of_a_contender_called_by_run_and_name_either_gives_it_away(text: str):
    assert find_leaks(completion("p", "x", text), ["quickstart/tuned"])
