"""Word by word differences: what is shared, removed and added, that nothing is lost, and that long texts end in seconds."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.services.word_diff import Segment, diff_words, only
from rlhf_core.data.words import WORD, tokens
from tests.hostile import HUGE, hostile_texts

TEXTS = [one.text for one in hostile_texts(116) if one.family not in HUGE]
SIGNS = {"same": "{}", "removed": "[-{}-]", "added": "[+{}+]"}


def drawn(before: str, after: str) -> str:
    """A difference in one line."""
    return "".join(SIGNS[segment.kind].format(segment.text) for segment in diff_words(before, after))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("Put salt on it.", "Put salt on it.", "Put salt on it."),
        ("", "", ""),
        ("", "Blot it.", "[+Blot it.+]"),
        ("Blot it.", "", "[-Blot it.-]"),
        ("Put some salt on the stain", "Put cold water on the stain", "Put [-some salt-][+cold water+] on the stain"),
        ("Wash it by hand.", "Wash it slowly by hand.", "Wash it[+ slowly+] by hand."),
        ("Wash it slowly by hand.", "Wash it by hand.", "Wash it[- slowly-] by hand."),
        ("I can't help with that today", "I can help with that today", "I [-can't-][+can+] help with that today"),
        (
            "It costs 1,000 euros in total",
            "It costs 1,500 euros in total",
            "It costs [-1,000-][+1,500+] euros in total",
        ),
        ("one line, two lines", "one line,\ntwo lines", "one line,[- -][+\n+]two lines"),
        ("the same  ", "the same", "the same[-  -]"),
        ("今日は晴れです", "今日は雨です", "今日は[-晴れ-][+雨+]です"),
    ],
)
def test_differences_by_hand(before: str, after: str, expected: str) -> None:
    assert drawn(before, after) == expected


def test_a_shared_word_among_strangers_does_not_break_a_sentence_up() -> None:
    """The shared "the", 3 letters, is shorter than "Cats sleep in" before it and "warm afternoon" after it."""
    assert drawn("Cats sleep in the warm afternoon", "Dogs bark at the passing postman") == (
        "[-Cats sleep in the warm afternoon-][+Dogs bark at the passing postman+]"
    )
    # Here "the weather in Lyon next Tuesday" (27 letters) is longer than "unknown" and "sunny": it stays.
    assert drawn(
        "Nobody knows the weather in Lyon next Tuesday here", "Sunny: the weather in Lyon next Tuesday, again"
    ) == ("[-Nobody knows-][+Sunny:+] the weather in Lyon next Tuesday[- here-][+, again+]")


texts = st.lists(st.sampled_from(["the ", "cat", " ", "\n", ", ", "dog ", "sat", "ß", "don't ", "水", "\u202e", "🌧️", "\x00"])).map(
    "".join
)  # fmt: skip


@given(st.one_of(texts, st.text()), st.one_of(texts, st.text()))
def test_nothing_is_lost_and_neighbours_differ(before: str, after: str) -> None:
    found = diff_words(before, after)
    assert "".join(segment.text for segment in only(found, "removed")) == before
    assert "".join(segment.text for segment in only(found, "added")) == after
    assert all(segment.text for segment in found)
    assert all(one.kind != other.kind for one, other in pairwise(found))
    assert (before == after) == all(segment.kind == "same" for segment in found)


@given(st.text())
def test_tokens_put_together_are_the_text(text: str) -> None:
    assert "".join(gap + word for gap, word in tokens(text)) == text


def test_hostile_texts_come_out_as_they_went_in() -> None:
    for before, after in pairwise(TEXTS):
        found = diff_words(before, after)
        assert "".join(segment.text for segment in only(found, "removed")) == before
        assert "".join(segment.text for segment in only(found, "added")) == after


def test_words_of_many_scripts() -> None:
    assert WORD.findall("I can’t: it's well-known, 3.5 km_h (naïve)…") == [
        *("I", "can’t", "it's", "well-known", "3.5", "km_h", "naïve")
    ]
    assert WORD.findall("हिन्दी में, नमस्ते。") == ["हिन्दी", "में", "नमस्ते"]
    assert WORD.findall("عاصمة أستراليا هي كانبرا،")[:3] == ["عاصمة", "أستراليا", "هي"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a b " * 900, "b a " * 900),  # the words of both occur everywhere: the slowest case below CAREFUL
        ("a b " * 20_000, "b a " * 20_000),
        (" ".join(map(str, range(20_000))), " ".join(map(str, range(19_999, -1, -1)))),
        ("word " * 200_000, "word " * 199_999),
    ],
    ids=["short", "long", "reversed", "one word"],
)
def test_long_texts_are_compared_in_seconds(before: str, after: str) -> None:
    start = time.monotonic()
    found = diff_words(before, after)
    assert time.monotonic() - start < 20
    assert "".join(segment.text for segment in only(found, "added")) == after


def test_segments_are_plain_data() -> None:
    assert diff_words("a", "b") == (Segment("removed", "a"), Segment("added", "b"))
