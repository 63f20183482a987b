"""Agreement: published examples, values by hand, slow versions, and words where nothing can be said."""

from __future__ import annotations

from itertools import permutations
from math import inf

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlhf_core.errors import DataError
from rlhf_core.evaluation.agreement import (
    agreement,
    alpha_of_sums,
    cohen_kappa,
    fleiss_kappa,
    kappa_of_sums,
    krippendorff_alpha,
)
from rlhf_core.evaluation.statistics import OUTCOMES
from tests.ballot_factory import SHORT, ballots

Z = 1.959964
WILSON_10 = 10 / (10 + Z**2)  # lower end of 10 of 10
COUNTS = st.lists(st.tuples(*[st.integers(0, 3)] * 4), min_size=1, max_size=12)
LETTERS = st.lists(st.tuples(*[st.sampled_from("cbtx")] * 2), min_size=1, max_size=20)


def outcomes(letters: str) -> list[str]:
    return [SHORT[letter] for letter in letters]


def slow_alpha(counts: list[tuple[int, ...]]) -> float | None:
    """α from the definition: mean disagreement of ordered pairs within items (weight 1/(m − 1)) over that of all pairs."""
    items = [[c for c, n in enumerate(row) for _ in range(n)] for row in counts if sum(row) >= 2]
    values = [c for item in items for c in item]
    if len(set(values)) < 2:
        return None
    within = sum((a != b) / (len(item) - 1) for item in items for a, b in permutations(item, 2)) / len(values)
    among = [a != b for a, b in permutations(values, 2)]
    return 1 - within / (sum(among) / len(among))


def test_alpha_of_three_items_by_hand():
    # (c c), (c b), (b b): n = 6; D_o = (1·1 + 1·1)/1/6 = 1/3; D_e = (36 − 9 − 9)/(6·5) = 3/5; α = 1 − 5/9
    assert krippendorff_alpha(np.array([[2, 0], [1, 1], [0, 2]])).value == pytest.approx(4 / 9)


def test_alpha_of_krippendorffs_example():
    # Krippendorff's example of three coders, 15 units and missing values: nominal α = 0.691 as published.
    rows = [[1, 0, 0, 0], [0] * 4, [0, 2, 0, 0], [2, 0, 0, 0], [0, 0, 2, 0], [0, 0, 2, 1], [0, 0, 0, 3], [1, 0, 1, 0]]
    rows += [[0, 2, 0, 0], [2, 0, 0, 0], [2, 0, 0, 0], [0, 0, 2, 0], [0, 0, 2, 0], [0] * 4, [0, 0, 1, 1]]
    assert krippendorff_alpha(np.array(rows)).value == pytest.approx(0.691, abs=5e-4)


@given(counts=COUNTS)
def test_alpha_is_one_minus_the_disagreement_of_pairs(counts: list[tuple[int, ...]]):
    expected = slow_alpha(counts)
    if expected is None:
        with pytest.raises(DataError):
            krippendorff_alpha(np.array(counts))
        return
    table = np.array([row for row in counts if sum(row) >= 2], dtype=float)
    sizes = table.sum(axis=1)
    disagreement = (table * (sizes[:, None] - table)).sum(axis=1) / (sizes - 1)
    assert krippendorff_alpha(np.array(counts)).value == pytest.approx(expected)
    assert alpha_of_sums(np.array([disagreement.sum(), *table.sum(axis=0)])) == pytest.approx(expected)


def test_a_resample_without_variation_has_no_agreement_to_speak_of():
    assert alpha_of_sums(np.array([[0.0, 6.0, 0.0], [0.0, 3.0, 3.0]])).tolist() == [0.0, 1.0]


def test_alpha_resamples_prompts():
    # Five copies of each item under one prompt carry no more than one: n grows, the spread between prompts stays.
    rng = np.random.default_rng(1)
    counts = rng.multinomial(3, [0.6, 0.3, 0.1], size=40)
    once = krippendorff_alpha(counts)
    often = krippendorff_alpha(np.repeat(counts, 5, axis=0), np.repeat(np.arange(40), 5))
    alone = krippendorff_alpha(np.repeat(counts, 5, axis=0))
    assert (often.n, often.clusters, once.clusters) == (200, 40, 40)
    assert (once.low + once.high) / 2 == pytest.approx(once.value, abs=(once.high - once.low) / 8)
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=0.1)
    assert (once.high - once.low) / (alone.high - alone.low) == pytest.approx(5**0.5, rel=0.15)
    assert often.method == "BCa bootstrap, 2000 resamples of prompts"
    assert alone.method == "BCa bootstrap, 2000 resamples of items"


@pytest.mark.slow
def test_alpha_intervals_cover_95_percent():
    # Every labeller copies the truth (½, ½) with chance 0.8 and else guesses evenly: two votes agree with chance
    # 0.64 + 0.36/2 = 0.82, chance agreement is ½, α = 0.64. Both items of a prompt are easy (1) or hard (0.6) together.
    # 0.6 and 1 in turn: mean agreement (0.68 + 1)/2 = 0.84, α = 0.68. 400 runs: three standard errors are 0.033.
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(400):
        prompts = np.repeat(np.arange(50), 2)
        knows = rng.random((100, 3)) < rng.choice([0.6, 1.0], 50)[prompts][:, None]
        truth, guess = rng.integers(0, 2, 100)[:, None], rng.integers(0, 2, (100, 3))
        votes = np.where(knows, truth, guess)
        estimate = krippendorff_alpha(np.stack([(votes == c).sum(axis=1) for c in (0, 1)], axis=1), prompts)
        covered += estimate.low <= 0.68 <= estimate.high
    assert covered / 400 == pytest.approx(0.95, abs=0.033)


def test_perfect_agreement_has_the_interval_of_raw_agreement():
    # Ten items, five (c c) and five (b b): D_e = (400 − 200)/(20·19) = 10/19; Wilson at 10 of 10 begins at 0.72247.
    estimate = krippendorff_alpha(np.array([[2, 0]] * 5 + [[0, 2]] * 5))
    assert (estimate.value, estimate.high) == (1, 1)
    assert estimate.low == pytest.approx(1 - (1 - WILSON_10) * 19 / 10, abs=1e-6)
    assert estimate.method == "raw agreement's interval: Wilson, one observation each, by cluster"


def test_few_prompts_have_no_interval():
    estimate = krippendorff_alpha(np.array([[2, 0], [1, 1], [0, 2]]))
    assert (estimate.low, estimate.high, estimate.method) == (-inf, inf, "none: fewer than 10 items")


def test_prompts_that_do_not_differ_have_no_interval():
    # Every prompt has (c b) alone: each leave-one-out α is that of the others alike.
    estimate = krippendorff_alpha(np.array([[1, 1]] * 12))
    assert (estimate.low, estimate.high, estimate.method) == (-inf, inf, "none: no difference between items")


def test_fleiss_published_example():
    # Fleiss (1971): 30 psychiatric patients are long; this is the textbook table of ten subjects and 14 raters: P̄ = 0.378,
    # P̄_e = 0.213, κ = 0.210.
    table = [[0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1]]
    table += [[7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]]
    kappa, items = fleiss_kappa(np.array(table))
    assert (kappa, items) == (pytest.approx(0.210, abs=5e-4), 10)


def test_fleiss_takes_the_items_with_the_commonest_number_of_votes():
    # Two items of three votes, two of two, one of one: three is the larger of the two commonest. (3 0) and (2 1): P̄ = (1 + 1/3)/2
    # = 2/3, p = (5/6, 1/6), P̄_e = 26/36; κ = (2/3 − 13/18)/(5/18) = −1/5
    kappa, items = fleiss_kappa(np.array([[2, 0], [3, 0], [2, 1], [1, 1], [1, 0]]))
    assert (kappa, items) == (pytest.approx(-1 / 5), 2)


def test_fleiss_leaves_out_a_lone_item_of_more_votes():
    # Three items of two votes, one of three: P̄ = 2/3, p = (½, ½), κ = (2/3 − ½)/½ = 1/3
    assert fleiss_kappa(np.array([[2, 0], [1, 1], [0, 2], [3, 0]])) == (pytest.approx(1 / 3), 3)


def test_cohens_kappa_by_hand():
    # 20 both c, 15 both b, 5 and 10 apart: p_o = 35/50, p_e = (25·30 + 25·20)/2500 = ½, κ = 0.4
    first, second = outcomes("c" * 25 + "b" * 25), outcomes("c" * 20 + "b" * 5 + "c" * 10 + "b" * 15)
    estimate = cohen_kappa(first, second)
    assert estimate.value == pytest.approx(0.4)
    assert estimate.low < 0.4 < estimate.high
    # The large-sample standard error √(p_o(1 − p_o)/(n(1 − p_e)²)) = √(0.21/12.5) = 0.1296: ±0.254
    assert estimate.high - estimate.low == pytest.approx(2 * Z * 0.1296, rel=0.12)


@given(pairs=LETTERS)
def test_kappa_from_sums_is_that_of_the_definition(pairs: list[tuple[str, str]]):
    first, second = (np.array(outcomes("".join(letters))) for letters in zip(*pairs, strict=True))
    chance = sum(np.mean(first == o) * np.mean(second == o) for o in OUTCOMES)
    expected = 0.0 if chance > 1 - 1e-12 else (np.mean(first == second) - chance) / (1 - chance)
    table = np.array([[np.sum((first == a) & (second == b)) for b in OUTCOMES] for a in OUTCOMES], dtype=float)
    assert kappa_of_sums(table.ravel()) == pytest.approx(expected)
    if len({*first, *second}) > 1:
        assert cohen_kappa(first.tolist(), second.tolist()).value == pytest.approx(expected)


def test_two_raters_of_one_mind_have_the_interval_of_raw_agreement():
    # 5 c, 5 b: 1 − p_e = ½
    estimate = cohen_kappa(outcomes("cccccbbbbb"), outcomes("cccccbbbbb"))
    assert (estimate.value, estimate.high, estimate.low) == (1, 1, pytest.approx(1 - 2 * (1 - WILSON_10), abs=1e-6))


def test_a_frame_is_measured_by_criterion():
    # helpful: (c c c), (c b –), (t x b), (b – –). Agreeing pairs 1, 0, 0: raw 1/3. Fleiss over the two items of three votes:
    # P̄ = ½, p = (3 1 1 1)/6, P̄_e = 12/36, κ = (½ − ⅓)/(⅔) = ¼. α: n = 8, D_o = (0 + 2 + 6/2)/8, n_c = 4 2 1 1,
    # D_e = (64 − 22)/56 = 3/4: α = 1 − (5/8)/(3/4) = 1/6
    frame = ballots({"ana": "cctb", "ben": "cbx–", "cy": "c–b–"}, criterion="helpful")
    found = agreement(pd.concat([frame, ballots({"ana": "cc"}, criterion="honest")]))
    helpful = found["helpful"]
    assert (helpful.labellers, helpful.items, helpful.single_items, helpful.votes) == (3, 3, 1, 8)
    assert helpful.raw is not None and helpful.raw.value == pytest.approx(1 / 3)
    assert helpful.alpha is not None and helpful.alpha.value == pytest.approx(1 / 6)
    assert (helpful.fleiss, helpful.fleiss_items) == (pytest.approx(1 / 4), 2)
    assert helpful.problems == ()
    assert list(found) == ["helpful", "honest"]


def test_one_labeller_says_nothing_about_agreement():
    alone = agreement(ballots({"ana": "cbt"}))["overall"]
    assert (alone.items, alone.single_items, alone.raw, alone.alpha, alone.fleiss) == (0, 3, None, None, None)
    assert alone.problems == (
        "Krippendorff's α is not defined: no item has two votes",
        "Fleiss' κ is not defined: no item has two votes",
    )


def test_always_the_same_outcome_has_raw_agreement_only():
    same = agreement(ballots({"ana": "cccc", "ben": "cccc"}))["overall"]
    assert same.raw is not None and same.raw.value == 1
    assert (same.alpha, same.fleiss) == (None, None)
    assert same.problems == (
        "Krippendorff's α is not defined: every vote is for the same outcome",
        "Fleiss' κ is not defined: every vote is for the same outcome",
    )


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([], [], r"expected the outcomes of two raters for the same items \(found \[0, 0\]\)"),
        (outcomes("cb"), outcomes("c"), r"of two raters for the same items \(found \[2, 1\]\)"),
        (["won"], ["tie"], "unknown outcomes. Expected contender, baseline, tie, both_bad"),
        (outcomes("cc"), outcomes("cc"), r"both raters always gave the same outcome \(found 'contender'\)"),
    ],
)
def test_raters_that_cannot_be_compared_are_refused(first: list[str], second: list[str], message: str):
    with pytest.raises(DataError, match=message):
        cohen_kappa(first, second)
