"""Judgements as records, out of either database: in the order they were given, a few of them at a time."""

from __future__ import annotations

import pytest

from rlhf_core.feedback import pair_votes
from rlhf_core.feedback.pair_votes import Wanted
from rlhf_core.feedback.store import VoteStore
from tests.vote_factory import judge, make_spec

WANTED = Wanted(1, ("overall",), name_criterion=False, simulated=False, between=None, salt=b"key")


def test_votes_come_in_their_order_however_few_are_read_at_once(store: VoteStore, monkeypatch: pytest.MonkeyPatch):
    task = store.ensure_task(make_spec(size=5))
    said = [(labeller, judge(store, task, "a", labeller)) for _ in range(5) for labeller in ("ana", "ben", "cy")]
    store.undo(task, "ben")
    whole = list(store.pair_votes(WANTED))
    kept = [item for number, (_, item) in enumerate(said) if number != 13]  # ben's last, 4 × 3 + 1
    assert [(row.prompt, row.a.text, row.b.text) for row in whole] == [(item.prompt, *item.texts) for item in kept]
    assert len({row.labeller for row in whole}) == 3
    monkeypatch.setattr(pair_votes, "AT_ONCE", 4)
    assert list(store.pair_votes(WANTED)) == whole
    counts = store.count_votes(task)
    assert (counts.people, counts.simulated, counts.golds, counts.repeats) == (14, 0, 0, 0)


def test_a_task_without_votes_has_none(store: VoteStore):
    store.ensure_task(make_spec())
    assert list(store.pair_votes(WANTED)) == []
