"""Splits: prompts never stand on both sides, whatever their spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlhf_core.data.splits import near_duplicates, normalise, refuse_overlap, split_by_prompt
from rlhf_core.errors import DataError


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("What's  15% of 64?", "what s 15 of 64"),
        ("Straße", "STRASSE"),  # case folding, not lower case
        ("ｈｅｌｌｏ", "hello"),  # full width (NFKC)
        ("Cafe\u0301?", "café"),  # a combining accent and the ready-made letter
        ("\u00a0Why\u200b?\n", "why"),
    ],
)
def test_the_same_question_in_other_spelling_is_equal(left: str, right: str) -> None:
    assert normalise(left) == normalise(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("cold", "gold"),
        ("कि", "का"),  # two Hindi words that differ in a vowel sign, a combining mark
        ("🙂", "🚀"),  # nothing but signs: those are then the text
        ("???", "!"),
        ("ab", "a b"),
    ],
)
def test_other_questions_stay_apart(left: str, right: str) -> None:
    assert normalise(left) != normalise(right)


@given(st.text())
def test_space_and_punctuation_around_a_text_never_count(text: str) -> None:
    assert normalise(f" \t{text}\n ") == normalise(text)
    assert normalise(f"a {text}!") == normalise(f"(A {text}) ")


@given(
    st.lists(st.sampled_from(["Why?", "why", "How", "how!", "Who", "Where", "When"]), min_size=8),
    st.floats(0.05, 0.45),
    st.integers(0, 99),
)
def test_a_split_is_a_partition_that_keeps_prompts_together(prompts: list[str], share: float, seed: int) -> None:
    rows = list(range(len(prompts)))
    train, held_out = split_by_prompt(rows, prompts, share, seed)
    assert sorted(train + held_out) == rows
    assert not {normalise(prompts[n]) for n in train} & {normalise(prompts[n]) for n in held_out}
    assert (train, held_out) == split_by_prompt(rows, prompts, share, seed)


def test_the_held_out_share_counts_prompts_and_is_never_empty() -> None:
    names = [f"question {n}" for n in range(40)]
    # 10% of 40 prompts are 4; 1% would be 0.4, and one is kept out all the same.
    assert len(split_by_prompt(names, names, 0.1, 0)[1]) == 4
    assert len(split_by_prompt(names, names, 0.01, 0)[1]) == 1


def test_another_seed_holds_out_other_prompts() -> None:
    names = [f"question {n}" for n in range(40)]
    assert split_by_prompt(names, names, 0.25, 0)[1] != split_by_prompt(names, names, 0.25, 1)[1]


def test_a_prompt_on_both_sides_is_refused_and_named() -> None:
    with pytest.raises(DataError) as caught:
        refuse_overlap(
            {"t1": "Why is the sky blue"}, {"e1": "WHY is the sky blue?", "e2": "Who?"}, where="prompts.jsonl"
        )
    message = str(caught.value)
    assert message.startswith("prompts.jsonl: 1 held-out prompts are also training prompts:")
    assert "e1 = t1: 'WHY is the sky blue?'" in message and "e2" not in message
    assert "Remove them from one side: a model may not be judged on what it was trained on" in message


def test_at_most_twenty_repeats_are_listed() -> None:
    both = {f"p{n}": f"question {n}" for n in range(30)}
    with pytest.raises(DataError) as caught:
        refuse_overlap(both, both, where="x")
    assert "30 held-out prompts" in str(caught.value) and str(caught.value).count(" = ") == 20


def test_near_duplicates_share_more_than_half_of_the_shorter_ones_triples() -> None:
    # a b c d e f has 4 triples; a b c d e x has 4, of which 3 are common: 0.75.
    # a b c d x y has 4, of which abc and bcd are common: 0.5, which is not more than half.
    found = near_duplicates({"h": "a b c d e f"}, {"close": "a b c d e x", "half": "a b c d x y", "far": "u v w x y z"})
    assert found == [("h", "close", 0.75)]


def test_a_short_prompt_inside_a_long_one_is_near() -> None:
    assert near_duplicates({"h": "boil an egg"}, {"t": "how do I boil an egg in ten minutes"}) == [("h", "t", 1.0)]


def test_prompts_of_one_or_two_words_compare_whole() -> None:
    assert near_duplicates({"h": "Why?"}, {"same": "why", "other": "who"}) == [("h", "same", 1.0)]
