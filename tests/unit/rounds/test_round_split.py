"""Which judged prompts are trained on, which stay held out, and what the votes weigh beside earlier rankings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlhf_core.data.records import Completion, Message, Prompt, Ranking
from rlhf_core.data.splits import normalise
from rlhf_core.errors import DataError
from rlhf_core.rounds.split import Split, refuse_too_few, split_judged, weigh_earlier, weight_share


def prompts(count: int) -> list[Prompt]:
    return [Prompt(id=f"e{n}", prompt=f"Question {n}?", split="eval") for n in range(count)]


def texts_of(rows: list[Prompt]) -> dict[str, str]:
    return {row.id: row.transcript for row in rows}


def ranking(name: str, weight: float = 1.0, *, tied: bool = False) -> Ranking:
    order = [["a", "b"]] if tied else [["a"], ["b"]]
    sides = [Completion(id="a", text="yes"), Completion(id="b", text="no")]
    return Ranking(id=name, prompt=f"Which, {name}?", completions=sides, ranking=order, weight=weight)


@given(
    count=st.integers(2, 40),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 99),
    unjudged=st.sets(st.integers(0, 39), max_size=20),
)
def test_every_prompt_is_on_one_side_and_the_share_is_of_the_judged(
    count: int, share: float, seed: int, unjudged: set[int]
):
    """Without shared openings, of J judged prompts J − max(1, round(J·(1 − share))) move, and no other."""
    held_out = prompts(count)
    judged = [p for n, p in enumerate(held_out) if n not in unjudged]
    if not judged:
        return
    split = split_judged(held_out, texts_of(judged), share, seed)
    moved, kept = {p.id for p in split.moved}, {p.id for p in split.kept}
    assert moved | kept == {p.id for p in held_out} and not moved & kept
    assert len(moved) == len(judged) - max(1, round(len(judged) * (1 - share)))
    assert moved <= {p.id for p in judged} and {p.id for p in split.tested} == {p.id for p in judged} - moved
    assert {p.split for p in split.moved} <= {"train"} and {p.split for p in split.kept} == {"eval"}


def test_the_seed_draws():
    held_out = prompts(20)
    drawn = [[p.id for p in split_judged(held_out, texts_of(held_out), 0.5, seed).moved] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_what_grew_from_one_opening_stays_together_judged_or_not():
    talk = [Message(role="user", content="Hello!"), Message(role="assistant", content="Hello.")]
    same = [Prompt(id=f"s{n}", prompt=f"And {n}?", history=talk, split="eval") for n in range(3)]
    held_out = [*prompts(4), *same]
    for seed in range(10):
        split = split_judged(held_out, texts_of(held_out[:6]), 0.5, seed)  # s2 has no votes
        sides = {p.split for p in (*split.moved, *split.kept) if p.id.startswith("s")}
        assert len(sides) == 1
        openings = [{normalise(p.opening) for p in side} for side in (split.moved, split.kept)]
        assert not openings[0] & openings[1]


def test_a_judged_prompt_that_is_not_held_out_is_refused():
    message = r"2 of 3 judged prompts are not held out by this run, or read otherwise there \(found \['e1', 't1'\]\)"
    with pytest.raises(DataError, match=message + r"\. Choose a task on this run's held-out prompts with --task"):
        split_judged(prompts(3), {"e0": "Question 0?", "e1": "Another question?", "t1": "Trained?"}, 0.5, 0)


def test_a_round_that_teaches_or_shows_nothing_is_refused():
    train, kept = prompts(12), prompts(9)
    with pytest.raises(
        DataError,
        match=r"too few votes to learn from: 12 judged prompts would be trained on and 9 stay held out, with 7 orders "
        r"among the former \(at least 8\)\. Judge more pairs",
    ):
        refuse_too_few(Split(train, kept, kept), [ranking(f"r{n}") for n in range(7)])
    with pytest.raises(
        DataError, match=r"too few prompts stay to judge on: .* and 9 stay held out \(at least 10 must\).*lower --share"
    ):
        refuse_too_few(Split(train, kept, kept), [ranking(f"r{n}") for n in range(8)])
    ten = prompts(10)
    refuse_too_few(Split(train, ten, ten), [ranking(f"r{n}") for n in range(8)])


def test_earlier_rankings_are_weighed_down_until_the_votes_hold_their_share():
    """V = 1 + ½ = 1.5, E = 9 (the tie has no pair and no loss); for a quarter f = 1.5·¾/(¼·9) = ½, and 1.5/(1.5 + 4.5) = ¼."""
    new = [ranking("v0"), ranking("v1", 0.5)]
    earlier = [*(ranking(f"r{n}") for n in range(9)), ranking("tied", tied=True)]
    weighed, factor = weigh_earlier(earlier, new, 0.25)
    assert factor == pytest.approx(0.5) and [row.weight for row in weighed] == pytest.approx([0.5] * 10)
    assert weight_share(weighed, new) == pytest.approx(0.25)
    assert [row.weight for row in earlier] == [1.0] * 10  # the rows given are not changed


def test_votes_that_hold_more_already_are_never_weighed_up():
    """V = 3, E = 1: three quarters."""
    weighed, factor = weigh_earlier([ranking("r")], [ranking(f"v{n}") for n in range(3)], 0.25)
    assert factor == 1.0 and [row.weight for row in weighed] == [1.0]
    assert weight_share(weighed, [ranking(f"v{n}") for n in range(3)]) == pytest.approx(0.75)
    assert weigh_earlier([ranking("tied", tied=True)], [ranking("v")], 0.5)[1] == 1.0
