"""What models and people write is shown as characters: in terminals, on pages, in reports. Controls, directions, invisibles."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlhf_core.visible import MOST_MARKS, check_name, one_line, visible
from tests.hostile import FAMILIES, HUGE, hostile_texts

ACTING = {"Cc", "Cs", "Zl", "Zp"}
MAY_STAY = set("\t\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;title\x07", "␛[2J␛]0;title␇"),
        ("a\x00b", "a␀b"),
        ("good\rEVIL\x08", "good␍EVIL␈"),
        ("one\r\ntwo\n\tthree", "one\ntwo\n\tthree"),  # ends of lines and tabs are text
        ("\x7f\x9b2J\x85", "␡⟨U+009B⟩2J⟨U+0085⟩"),
        ("\u202eB si\u2069", "⟨U+202E⟩B si⟨U+2069⟩"),
        ("a\u2028b\ufeff\u2060", "a⟨U+2028⟩b⟨U+FEFF⟩⟨U+2060⟩"),
        ("\ud800", "⟨U+D800⟩"),
        ("\U000e0041", "⟨U+E0041⟩"),
        ("pass\u200bword", "pass⟨U+200B⟩word"),
        ("ភាសា\u200bខ្មែរ", "ភាសា\u200bខ្មែរ"),  # Khmer separates words by it
        ("👩\u200d🔬 نمی\u200cخواهم שלום\u200f!", "👩\u200d🔬 نمی\u200cخواهم שלום\u200f!"),  # scripts need these
        ("\u200d\u200d\u200d", "\u200d⟨U+200D⟩⟨U+200D⟩"),  # a second one in a row joins nothing
        ("<b>&amp; [x](y) $z$ :red[w] =1", "<b>&amp; [x](y) $z$ :red[w] =1"),  # for those who print it to escape
    ],
)
def test_every_character_that_acts_is_replaced_by_one_that_shows(text: str, shown: str):
    assert visible(text) == shown


def test_a_tower_of_marks_is_cut_and_says_so():
    """1,000 marks on one letter: 8 stay, 992 are counted; Vietnamese and pointed Hebrew stay whole."""
    assert visible("e" + "\u0301" * 1000 + "x") == "e" + "\u0301" * MOST_MARKS + "⟨+992 marks⟩x"
    for whole in ("Việt", unicodedata.normalize("NFD", "Việt Nam"), "שָׁלוֹם", "e" + "\u0301" * MOST_MARKS):
        assert visible(whole) == whole


@given(st.text())
def test_nothing_that_acts_is_left_and_showing_again_changes_nothing(text: str):
    shown = visible(text)
    assert not [c for c in shown if unicodedata.category(c) in ACTING and c not in MAY_STAY]
    assert visible(shown) == shown
    assert not re.search(r"[\n\t]", one_line(text))


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_text_of_letters_signs_and_spaces_stays_as_it_is(text: str):
    assert visible(text) == text


def test_a_name_is_one_line_in_which_nothing_acts():
    assert check_name("déjà-vu 東京 /../x") == "déjà-vu 東京 /../x"
    for name, shown in (("a\nb", "a␊b"), ("\x1b[31m", "␛[31m"), ("\u202eana", "⟨U+202E⟩ana")):
        with pytest.raises(ValueError, match="do not show; expected a name in one line") as caught:
            check_name(name)
        assert str(caught.value).endswith(f"found {shown}")


def test_the_thousand_texts_cover_every_family_and_are_the_same_each_time():
    texts = hostile_texts()
    counts = {family: sum(one.family == family for one in texts) for family in [*FAMILIES, *HUGE]}
    assert len(texts) == 1000 and min(counts[family] for family in FAMILIES) >= 90
    assert max(len(one.text) for one in texts) >= 1_000_000
    assert max(one.text.count("\n") for one in texts) == 100_000
    assert texts == hostile_texts()


def test_a_thousand_hostile_texts_leave_nothing_that_acts():
    for one in hostile_texts():
        left = {c for c in visible(one.text) if unicodedata.category(c) in ACTING} - MAY_STAY
        assert not left, (one.family, one.text[:80])
