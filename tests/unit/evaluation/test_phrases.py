"""Phrases: what counts as one, the paired test and interval by hand, and that false discoveries stay below their rate."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from rlhf_core.errors import DataError
from rlhf_core.evaluation.phrases import FEWEST, PRIOR, RATE, PhraseIndex, log_odds, phrases_of

SAY = "Of course. "


def test_a_phrase_is_up_to_three_words_in_a_row_across_no_mark() -> None:
    assert phrases_of("I can’t help; ask me\nlater") == {
        *("i", "can't", "help", "ask", "me", "later", "i can't", "can't help", "ask me", "i can't help")
    }
    assert phrases_of("") == phrases_of(" …\n") == frozenset()


def test_counts_test_and_interval_of_one_phrase_by_hand() -> None:
    """20 prompts: both say it in 3, only the contender in 9, only the baseline in 1, neither in 7."""
    before = ["yes"] * 4 + ["no"] * 16
    after = ["yes"] * 3 + ["no"] + ["yes"] * 9 + ["no"] * 7
    report = PhraseIndex(before, after).compare()
    assert (report.prompts, report.tested) == (20, 2)  # "no" is the mirror image of "yes"
    yes = next(row for row in report.phrases if row.text == "yes")
    assert (yes.before, yes.after, yes.only_before, yes.only_after) == (4, 12, 1, 9)
    # Of ten that differ nine or more, or one or fewer, on one side: 2·(10 + 1)/2^10 = 0.02148.
    assert yes.p_value == pytest.approx(22 / 1024)
    assert yes.q_value == pytest.approx(22 / 1024)  # two equal p-values: the larger rank's 2/2 times p
    assert yes.difference.value == pytest.approx(8 / 20) and yes.difference.low > 0
    # π = 16/40 = 0.4, N = 30, y₀ = 4 + 4 = 8, y₁ = 12 + 4 = 16: log(16/14) − log(8/22) = 0.13353 + 1.01160.
    assert yes.log_odds == pytest.approx(1.14513, abs=1e-5)
    # a = 3 + 10·0.16 = 4.6; 30/224 + 30/176 − 60·(138 − 128)/(224·176) = 0.133929 + 0.170455 − 0.015219 = 0.289164.
    assert yes.z == pytest.approx(1.14513 / math.sqrt(0.289164), abs=1e-4)


def test_swapping_the_contenders_turns_every_sign_and_nothing_else() -> None:
    before, after = texts(np.random.default_rng(1), 40), texts(np.random.default_rng(2), 40, add=SAY)
    there = {row.text: row for row in PhraseIndex(before, after).compare().phrases}
    back = {row.text: row for row in PhraseIndex(after, before).compare().phrases}
    assert there.keys() == back.keys() and there
    for text, row in there.items():
        other = back[text]
        assert (row.before, row.after, row.p_value, row.q_value) == (
            other.after,
            other.before,
            other.p_value,
            other.q_value,
        )
        assert row.log_odds == pytest.approx(-other.log_odds) and row.z == pytest.approx(-other.z)
        assert row.difference.value == pytest.approx(-other.difference.value)


@given(
    st.lists(
        st.tuples(*[st.integers(0, 30)] * 4).filter(lambda cells: cells[1] + cells[2] >= 1), min_size=1, max_size=5
    )
)
def test_the_standard_error_is_that_of_the_pairs(cells: list[tuple[int, int, int, int]]) -> None:
    """Against the delta method written out: Var of a linear function of four cell shares, Σ g²p − (Σ g·p)², over N."""
    for both, first, second, neither in cells:
        prompts = both + first + second + neither
        delta, z = (part[0] for part in log_odds(*(np.array([n]) for n in (both, first, second)), prompts))
        share = (2 * both + first + second) / (2 * prompts)
        prior = [PRIOR * x for x in (share**2, share * (1 - share), share * (1 - share), (1 - share) ** 2)]
        p = (np.array([both, first, second, neither]) + prior) / (prompts + PRIOR)
        p0, p1 = p[0] + p[1], p[0] + p[2]
        g = np.array([1, 0, 1, 0]) / (p1 * (1 - p1)) - np.array([1, 1, 0, 0]) / (p0 * (1 - p0))
        assert delta == pytest.approx(math.log(p1 / (1 - p1)) - math.log(p0 / (1 - p0)), abs=1e-9)
        variance = ((g**2) @ p - (g @ p) ** 2) / (prompts + PRIOR)
        assert z == pytest.approx(delta / math.sqrt(variance), abs=1e-9)


def test_a_long_response_counts_once_and_rare_phrases_are_not_tested() -> None:
    before = ["no"] * 12
    report = PhraseIndex(before, ["no, sir " * 500] + ["no"] * 11).compare()
    assert (report.tested, report.phrases) == (0, ())  # `sir` 500 times, in one response
    report = PhraseIndex(before, ["no, sir"] * (FEWEST - 1) + ["no"] * 7).compare()
    assert report.tested == 0
    report = PhraseIndex(before, ["no, sir"] * FEWEST + ["no"] * 6).compare()
    assert [row.text for row in report.phrases] == ["sir"] and report.phrases[0].p_value == pytest.approx(2 / 2**FEWEST)


def test_phrases_of_the_same_responses_are_one() -> None:
    report = PhraseIndex(["yes"] * 10, ["I can't help. yes"] * 10).compare()
    assert [row.text for row in report.phrases] == ["i can't help"]


def test_of_some_prompts_only_those_count() -> None:
    before, after = ["no"] * 20, ["of course"] * 10 + ["no"] * 10
    index = PhraseIndex(before, after)
    first = np.arange(20) < 10
    differences = {row.text: row.difference.value for row in index.compare(first).phrases}
    assert differences == {"of course": pytest.approx(1.0), "no": pytest.approx(-1.0)}
    assert index.compare(~first).tested == 0
    assert index.compare(first).prompts == 10
    assert index.compare(np.arange(20) % 2 == 0).tested == 0  # five prompts that differ: too few
    assert index.containing("of course").tolist() == first.tolist()
    assert not index.containing("nobody says this").any() and not index.containing("").any()


def test_only_longer_phrases_can_be_asked_for_and_are_then_adjusted_among_themselves() -> None:
    """Eight prompts gain "of course" and lose "no"; "no" and "course" (also said once by the baseline) are single words."""
    index = PhraseIndex(["no"] * 8 + ["course", "yes"], ["of course"] * 8 + ["yes", "course"])
    everything = {row.text: row for row in index.compare().phrases}
    longer = index.compare(shortest=2)
    assert everything.keys() == {"no", "of course", "course"} and (longer.tested, longer.found) == (1, 1)
    # p = 2/2^8 each for "of course" and "no", 2·(1 + 10)/2^10 for "course": nine of ten gain it.
    assert everything["of course"].q_value == pytest.approx(3 / 2 * 2 / 256)  # two p-values at rank two of three
    assert longer.phrases[0].q_value == pytest.approx(2 / 256)
    assert index.compare(shortest=3).phrases == ()


def test_any_phrase_can_be_looked_for_word_by_word() -> None:
    before = ["I can. Help is near", "You can’t help with that", *["no"] * 8]
    after = ["I can't help with that either", *["I CAN help"] * 8, "no"]
    index = PhraseIndex(before, after)
    expected = {
        "can help": range(1, 9),  # counted; not "can. Help", nor "can't help"
        "Can’t help": (0, 1),  # in two responses: too few to be counted
        "help with that either": (0,),  # longer than what is counted
        "can": range(9),
        "no": range(2, 10),
    }
    for phrase, prompts in expected.items():
        assert np.flatnonzero(index.containing(phrase)).tolist() == list(prompts), phrase


def test_what_cannot_be_compared_says_so() -> None:
    with pytest.raises(DataError, match=r"a response of each contender to every prompt \(found \[1, 2\]\)"):
        PhraseIndex(["a"], ["a", "b"])
    with pytest.raises(DataError, match="expected one flag for each prompt"):
        PhraseIndex(["a"], ["b"]).compare(np.array([True, False]))
    assert PhraseIndex([], []).compare() == PhraseIndex(["a"], ["b"]).compare(np.array([False]))


WORDS = [f"w{n}" for n in range(120)]
FREQUENT = 1 / np.arange(3, 123)
FREQUENT /= FREQUENT.sum()


def texts(rng: np.random.Generator, size: int, add: str = "", share: float = 0.6) -> list[str]:
    """Responses of 25 words, common ones first as in a language; a share of them begin with `add`."""
    made = [" ".join(rng.choice(WORDS, 25, p=FREQUENT)) for _ in range(size)]
    return [(add if rng.random() < share else "") + text for text in made]


def test_where_nothing_differs_a_discovery_is_as_rare_as_promised() -> None:
    """300 pairs of contenders alike: any discovery is false, at most 5% may have one; more than 28 do with p < 0.001."""
    assert binomtest(29, 300, RATE, "greater").pvalue < 0.001
    rng, wrong, tested = np.random.default_rng(0), 0, 0
    for _ in range(300):
        report = PhraseIndex(texts(rng, 60), texts(rng, 60)).compare(listed=0)
        wrong += report.found > 0
        tested += report.tested
    assert tested > 300 * 30  # the simulation does test many phrases
    assert wrong <= 28


def test_among_true_differences_false_ones_stay_below_the_rate_and_the_true_are_found() -> None:
    """The contender begins 60% of responses with two words of its own; whatever else is found is false."""
    rng, shares = np.random.default_rng(1), []
    for _ in range(60):
        report = PhraseIndex(texts(rng, 60), texts(rng, 60, add=SAY)).compare(listed=1)
        assert report.phrases[0].text == "of course" and report.phrases[0].q_value <= RATE
        shares.append(1 - 1 / report.found)
    assert np.mean(shares) <= RATE + 3 * np.std(shares) / math.sqrt(60)
