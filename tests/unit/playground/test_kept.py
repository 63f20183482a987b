"""Pairs that are kept: once each, never alike, ready to be judged blind."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rlhf_core.errors import DataError
from rlhf_core.evaluation.statistics.votes import win_rate
from rlhf_core.feedback.leaks import Leak
from rlhf_core.feedback.store import VoteStore
from rlhf_core.playground.kept import FILE, KeptPair, by_contenders, keep_pair, kept_pairs, pair_of, task_of
from rlhf_core.playground.protocol import Done, Request
from tests.vote_factory import contender_side, shown

HISTORY = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]


def request(*contenders: str, **changes: Any) -> Request:
    names = contenders or ("base", "tuned")
    asked = {"id": "1", "prompt": "Why?", "temperature": 0.7, "seed": 3, "max_new_tokens": 8, "contenders": names}
    return Request.model_validate(asked | changes)


def done(*texts: str) -> list[Done]:
    return [
        Done(id="1", side=n, text=text, tokens=4, finished=n == 0, first_seconds=0.1, seconds=1.0)
        for n, text in enumerate(texts)
    ]


def test_a_pair_is_kept_as_completions_that_a_task_takes(tmp_path: Path):
    pair = pair_of(request("tuned", "base"), done("new", "old"), now=0)
    assert keep_pair(tmp_path, pair)
    (row,) = [json.loads(line) for line in (tmp_path / FILE).read_text().splitlines()]
    assert row["kept_at"] == "1970-01-01T00:00:00.000Z" and (row["temperature"], row["seed"]) == (0.7, 3)
    assert [(c["contender"], c["text"], c["finished"]) for c in row["completions"]] == [
        ("base", "old", False), ("tuned", "new", True),
    ]  # fmt: skip
    assert kept_pairs(tmp_path) == [pair]
    spec = task_of("demo", [pair], "Choose.")
    assert spec.contenders == ("base", "tuned") and spec.items[0].completions == (("base", "old"), ("tuned", "new"))
    assert (spec.run_name, spec.instructions, spec.items[0].prompt) == ("demo", "Choose.", "Why?")


def test_a_pair_keeps_the_turns_before_it_and_labellers_see_them(tmp_path: Path):
    pair = pair_of(request(history=HISTORY), done("old", "new"))
    keep_pair(tmp_path, pair)
    (row,) = [json.loads(line) for line in (tmp_path / FILE).read_text().splitlines()]
    assert (row["history"], row["prompt"]) == (HISTORY, "Why?") and kept_pairs(tmp_path) == [pair]
    item = task_of("demo", [pair], "Choose.").items[0]
    assert item.prompt == "User: Hi\n\nAssistant: Yes?\n\nUser: Why?"
    assert [turn.model_dump() for turn in item.history] == HISTORY
    assert keep_pair(tmp_path, pair_of(request(), done("old", "new")))  # without the turns it is another pair


def test_answers_that_follow_a_system_prompt_are_not_kept():
    with pytest.raises(DataError) as caught:
        pair_of(request(system_prompt="Rhyme."), done("old", "new"))
    assert str(caught.value) == (
        "these answers follow a system prompt, which labellers would not see (found 'Rhyme.'). Clear it and ask again"
    )


def test_pairs_of_one_prompt_are_two_items_and_one_prompt_in_the_interval(tmp_path: Path):
    """Both votes are for tuned. Wilson's lower end for n of n is n/(n + z²), z² = 3.8415: of one prompt 0.2065, of two 0.3424."""
    same = [pair_of(request(), done("old", "new")), pair_of(request(prompt=" why"), done("old one", "new one"))]
    other = [same[0], pair_of(request(history=HISTORY), done("old one", "new one"))]
    found = [_all_for_tuned(tmp_path / f"{n}.db", pairs) for n, pairs in enumerate((same, other))]
    assert [len({*votes["item_id"]}) for votes in found] == [2, 2]
    one, two = map(win_rate, found)
    assert (one.n, one.clusters, two.n, two.clusters) == (2, 1, 2, 2)
    assert (one.low, two.low) == pytest.approx((0.2065, 0.3424), abs=1e-4)


def _all_for_tuned(path: Path, pairs: list[KeptPair]) -> pd.DataFrame:
    with closing(VoteStore(path)) as store:
        task = store.ensure_task(task_of("demo", pairs, "Choose."))
        for _ in pairs:
            item = shown(store, task)
            store.vote(item.token, contender_side(item), reading_seconds=1.0)
        return store.votes(task)


def test_what_gives_an_author_away_is_found_under_the_prompt_it_was_said_to():
    pairs = [pair_of(request(), done("I am SmolLM", text)) for text in ("new", "newer")]
    spec = task_of("demo", pairs, "Choose.")
    assert {item.prompt_id for item in spec.items} == {pairs[0].asked} == {pairs[1].asked}
    assert spec.leaks == (Leak(pairs[0].asked, "base", "SmolLM"),) * 2


def test_the_same_prompt_and_texts_are_kept_once_whatever_side_seed_and_time(tmp_path: Path):
    assert keep_pair(tmp_path, pair_of(request(), done("old", "new"), now=0))
    again = pair_of(request("tuned", "base", seed=9), done("new", "old"), now=99)
    assert not keep_pair(tmp_path, again) and len(kept_pairs(tmp_path)) == 1
    for other in (
        pair_of(request(), done("old", "newer")),
        pair_of(request(prompt="How?"), done("old", "new")),
        pair_of(request("base", "sft"), done("old", "new")),
    ):
        assert keep_pair(tmp_path, other)
    assert len({pair.id for pair in kept_pairs(tmp_path)}) == 4
    assert {names: len(rows) for names, rows in by_contenders(kept_pairs(tmp_path)).items()} == {
        ("base", "tuned"): 3, ("base", "sft"): 1,
    }  # fmt: skip


def test_two_writers_of_the_same_pair_leave_one(tmp_path: Path):
    """Both looked before either wrote."""
    row = pair_of(request(), done("old", "new"), now=0).model_dump_json()
    (tmp_path / FILE).write_text(f"{row}\n{row}\n")
    assert len(kept_pairs(tmp_path)) == 1


@pytest.mark.parametrize(
    ("temperature", "remedy"), [(0.7, "Try another seed or a higher temperature"), (0, "Raise the temperature above 0")]
)
def test_answers_that_are_alike_are_no_pair(temperature: float, remedy: str):
    with pytest.raises(DataError) as caught:
        pair_of(request(temperature=temperature), done("same", " same\n"))
    assert str(caught.value) == f"both answers are the same, so there is nothing to judge. {remedy}"


def test_nothing_kept_is_nothing(tmp_path: Path):
    assert kept_pairs(tmp_path) == []
    (tmp_path / FILE).touch()
    assert kept_pairs(tmp_path) == []


def test_a_damaged_file_is_named_with_its_line_and_not_written_on(tmp_path: Path):
    pair = pair_of(request(), done("old", "new"))
    keep_pair(tmp_path, pair)
    with (tmp_path / FILE).open("a") as file:
        file.write('{"id": \n')
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(DataError, match=rf"{FILE}:2: not JSON"):
        keep_pair(tmp_path, pair_of(request(), done("a", "b")))
    assert (tmp_path / FILE).read_bytes() == before


def test_a_pair_is_of_two_contenders_and_one_prompt():
    row = pair_of(request(), done("old", "new")).model_dump()
    first, second = row["completions"]
    with pytest.raises(ValueError, match="expected those of two contenders"):
        KeptPair.model_validate(row | {"completions": (first, second | {"contender": "base"})})
    with pytest.raises(ValueError, match="their prompt_id must be the pair's id"):
        KeptPair.model_validate(row | {"completions": (first, second | {"prompt_id": "x"})})
