"""Properties of judging: the store agrees with a plain list whatever is done; estimates respect their symmetries."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlhf_core.evaluation.statistics import OUTCOMES, accuracy_interval, mcnemar_exact, paired_difference, win_rate
from rlhf_core.feedback.assign import order_shown
from rlhf_core.feedback.store import VoteStore
from tests.vote_factory import contender_side as shown_side
from tests.vote_factory import make_spec, vote_frame

SIZE = 3
VERBS = st.sampled_from(["a", "b", "tie", "both_bad", "skip", "undo", "reload"])
ACTIONS = st.lists(st.tuples(st.sampled_from(["ana", "ben"]), VERBS), max_size=24)
OUTCOME_LISTS = st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=40)


class PlainLabeller:
    """The store's promise to one labeller, as slow and obvious as can be: a list of what was given."""

    def __init__(self) -> None:
        self.given: list[tuple[int, str]] = []

    def judged(self) -> dict[int, str]:
        return {item: verdict for item, verdict in self.given if verdict != "skip"}

    def undoable(self) -> int | None:
        return self.given[-1][0] if self.given else None

    def show(self, item: int) -> None:
        """A skipped item that is shown again: its skip is over."""
        self.given = [(i, v) for i, v in self.given if not (i == item and v == "skip")]


@settings(max_examples=25, deadline=None)
@given(actions=ACTIONS, seed=st.integers(0, 2**31))
def test_the_store_agrees_with_a_plain_list(actions: list[tuple[str, str]], seed: int):
    with TemporaryDirectory() as folder, closing(VoteStore(Path(folder) / "votes.db")) as store:
        task = store.ensure_task(make_spec(SIZE, seed))
        plain = {"ana": PlainLabeller(), "ben": PlainLabeller()}
        sides: dict[tuple[str, int], str] = {}
        for labeller, action in actions:
            mine = plain[labeller]
            shown = store.undo(task, labeller) if action == "undo" else store.next_item(task, labeller)
            if action == "undo":
                assert (shown.item_id if shown else None) == mine.undoable()
                mine.given = mine.given[:-1]
            if shown is None:
                assert action == "undo" or len(mine.judged()) == SIZE
                continue
            mine.show(shown.item_id)
            assert shown.item_id not in mine.judged()
            assert shown.position == len(mine.judged()) + 1
            assert sides.setdefault((labeller, shown.item_id), shown_side(shown)) == shown_side(shown)
            assert store.next_item(task, labeller) == shown
            if action not in ("undo", "reload"):
                store.vote(shown.token, action, reading_seconds=0)  # type: ignore[arg-type]
                mine.given.append((shown.item_id, action))
        frame = store.votes(task)
        expected = {(name, item) for name, one in plain.items() for item in one.judged()}
        assert set(zip(frame["labeller"], frame["item_id"], strict=True)) == expected
        assert len(frame) == len(expected)


@given(seed=st.integers(), labeller=st.text(min_size=1), length=st.integers(0, 60), size=st.integers(2, 9))
def test_every_completion_stands_everywhere_equally_often(seed: int, labeller: str, length: int, size: int):
    """Within any number of items: counts differ by at most one, so of pairs the two sides too."""
    shown = [order_shown(seed, labeller, number, size) for number in range(length)]
    assert all(sorted(order) == [str(place) for place in range(size)] for order in shown)
    for position in range(size):
        counts = [sum(order[position] == str(place) for order in shown) for place in range(size)]
        assert max(counts) - min(counts) <= 1


@given(outcomes=OUTCOME_LISTS)
def test_an_interval_holds_its_value_and_stays_within_0_and_1(outcomes: list[str]):
    estimate = win_rate(vote_frame(outcomes))
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.high > estimate.low


@given(outcomes=OUTCOME_LISTS)
def test_swapping_the_contenders_mirrors_the_interval(outcomes: list[str]):
    other = {"contender": "baseline", "baseline": "contender"}
    forth, back = win_rate(vote_frame(outcomes)), win_rate(vote_frame([other.get(o, o) for o in outcomes]))
    assert back.value == pytest.approx(1 - forth.value)
    assert (back.low, back.high) == pytest.approx((1 - forth.high, 1 - forth.low))


@given(outcomes=OUTCOME_LISTS, copies=st.integers(1, 3))
def test_repeating_votes_on_the_same_prompts_adds_no_certainty(outcomes: list[str], copies: int):
    prompts = [f"p{i}" for i in range(len(outcomes))]
    once, twice, often = (win_rate(vote_frame(outcomes * n, prompts=prompts * n)) for n in (1, 2, copies + 1))
    assert often.low <= once.low + 1e-9 and often.high >= once.high - 1e-9
    assert (often.low, often.high) == pytest.approx((twice.low, twice.high))
    assert (often.n, often.clusters) == ((copies + 1) * once.n, once.clusters)


@given(values=st.lists(st.tuples(st.booleans(), st.sampled_from("pqrst")), min_size=1, max_size=40), seed=st.randoms())
def test_the_order_of_rows_does_not_matter(values: list[tuple[bool, str]], seed):
    shuffled = list(values)
    seed.shuffle(shuffled)
    one, other = (accuracy_interval(*map(list, zip(*rows, strict=True))) for rows in (values, shuffled))
    assert (one.low, one.high, one.method) == (pytest.approx(other.low), pytest.approx(other.high), other.method)


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.integers(-5, 5), min_size=2, max_size=30),
    shift=st.integers(-3, 3),
    scale=st.sampled_from([0.001, 1.0, 1000.0]),
)
def test_a_paired_difference_moves_and_stretches_with_its_data(values: list[int], shift: int, scale: float):
    after = np.array(values, dtype=float)
    plain = paired_difference(np.zeros(len(after)), after, bootstrap=200)
    moved = paired_difference(np.full(len(after), -shift * scale), after * scale, bootstrap=200)
    expected = [(x + shift) * scale for x in (plain.value, plain.low, plain.high)]
    assert [moved.value, moved.low, moved.high] == pytest.approx(expected, abs=1e-9 * scale)


@given(pairs=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_is_a_probability_that_forgets_the_direction_and_the_unchanged(pairs: list[tuple[bool, bool]]):
    before, after = map(list, zip(*pairs, strict=True))
    p = mcnemar_exact(before, after).p_value
    assert 0 < p <= 1
    assert mcnemar_exact(after, before).p_value == pytest.approx(p)
    assert mcnemar_exact([*before, True, False], [*after, True, False]).p_value == p
