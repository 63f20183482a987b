"""Hostile prompts, completions, instructions and reasons come back letter by letter from both databases; names are refused."""

from __future__ import annotations

import pytest

from rlhf_core.errors import VoteError
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import TaskDesign, TaskSpec, build_task
from tests.hostile import HUGE, hostile_texts
from tests.vote_factory import completion, make_spec, shown

TEXTS = [one.text for one in hostile_texts()]


def spec_of(texts: list[str], answers: int) -> TaskSpec:
    """A task to rank so many answers a prompt, all of them out of the texts, each prompt the text of its first answer."""
    starts = range(0, len(texts), answers)
    rows = [
        [completion(f"p{start}", f"writer {n}", texts[start + n], texts[start]) for start in starts]
        for n in range(answers)
    ]
    return build_task("demo", rows, "Prefer.", 0, TaskDesign(form="ranking"))


def test_a_thousand_hostile_texts_come_back_as_they_were(store: VoteStore):
    task = store.ensure_task(spec_of(TEXTS, 8))
    rows = {row["prompt_id"]: row for row in store.texts(task).values()}
    for n, text in enumerate(TEXTS):
        row = rows[f"p{n - n % 8}"]
        assert row["texts"][f"writer {n % 8}"] == text and row["prompt"] == TEXTS[n - n % 8], text[:80]
    assert store.ensure_task(spec_of(TEXTS, 8)) == task


def test_hostile_instructions_and_reasons_come_back_as_they_were(store: VoteStore):
    for n, text in enumerate(TEXTS[:22]):
        task = store.ensure_task(make_spec(1, seed=n, instructions=f"Do. {text}"))
        assert store.task(task).instructions == f"Do. {text}"
        store.vote(shown(store, task).token, "a", reading_seconds=1, reason=text)
        assert store.votes(task)["reason"].tolist() == [text]


def test_a_labeller_s_name_is_letters(store: VoteStore):
    task = store.ensure_task(make_spec())
    for name in ("ana\x00", "\x1b[31mana", "a\nb", "\u202eana", "\ud800"):
        with pytest.raises(
            VoteError, match=r"the labeller's name holds characters that do not show.*Type it in letters"
        ):
            store.next_item(task, name)
    for name in ("=1+1", "<b>ana</b>", "../ana", "'; DROP TABLE votes; --", "アナ"):
        store.vote(shown(store, task, name).token, "tie", reading_seconds=1)
    assert set(store.votes(task)["labeller"]) == {"=1+1", "<b>ana</b>", "../ana", "'; DROP TABLE votes; --", "アナ"}


def test_megabytes_are_judged_like_any_text(store: VoteStore):
    task = store.ensure_task(spec_of([make() for make in HUGE.values()], 2))
    for _ in range(2):
        store.vote(shown(store, task).token, "a>b", reading_seconds=1)
    assert store.progress(task, "ana").done == 2
