"""The task that a round ends with: who is compared with whom, judged how, stored once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rlhf_core.data.io import write_jsonl
from rlhf_core.data.records import Prompt
from rlhf_core.evaluation.ballots import check_votes
from rlhf_core.feedback.collect import judging_of_run
from rlhf_core.feedback.store import VoteStore
from rlhf_core.rounds import finish
from rlhf_core.rounds.begin import Round, RoundRequest, begin_round
from rlhf_core.rounds.finish import build_round_task, finish_round
from rlhf_core.runs.reader import RunReader
from tests.round_factory import judge_all, write_parent
from tests.vote_factory import INSTRUCTIONS, completion

NAMES = ("base", "round-1", "tuned")


def answer_all(run: Path, prompts: Sequence[Prompt]) -> None:
    """Let all three contenders answer, each with a text of its own."""
    for name in NAMES:
        rows = [completion(p.id, name, f"{name[:4]}: {p.id}", p.transcript) for p in prompts]
        write_jsonl(run / "completions" / f"{name}.jsonl", rows)


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Round:
    """A round that was begun and answered; its reward models like what is longer, and what is shorter."""
    run = write_parent(tmp_path)
    judge_all(run, lambda n: "tuned", overlap=3, criteria=("helpful", "honest"), repeat_every=12)
    found = begin_round(RoundRequest(run))
    held_out = [Prompt(id=f"e{n}", prompt=f"Question e{n}?", split="eval") for n in range(40)]
    answer_all(found.path, held_out[:20])
    sign = {str(run / "reward" / "model"): -1.0, str(found.path / "reward" / "model"): 1.0}
    monkeypatch.setattr(finish, "_scorer", lambda folder, device: likes_length(sign[str(folder)]))
    return found


def likes_length(sign: float):
    return lambda prompts, texts: sign * np.array([len(text) for text in texts], dtype=float)


def test_the_tuned_model_is_compared_with_the_round_before_and_with_base(begun: Round):
    """20 prompts × (tuned–base, tuned–round-1); base against round-1 was judged in the round before."""
    with closing(VoteStore(begun.parent.parent / "votes.db")) as store:
        spec = build_round_task(begun.path, "round-1", store.task(1), seed=0)
    assert spec.run_name == "first-round2" and spec.contenders == NAMES
    pairs = [tuple(name for name, _ in item.completions) for item in spec.items]
    assert sorted(set(pairs)) == [("base", "tuned"), ("round-1", "tuned")] and len(pairs) == 40
    assert (spec.design.overlap, spec.design.criteria, spec.design.repeat_every) == (3, ("helpful", "honest"), 12)
    assert spec.instructions == INSTRUCTIONS


def test_a_ranking_shows_all_three_at_once(begun: Round):
    with closing(VoteStore(begun.parent.parent / "votes.db")) as store:
        like = replace(store.task(1), form="ranking")
    spec = build_round_task(begun.path, "round-1", like, seed=0)
    assert [tuple(name for name, _ in item.completions) for item in spec.items] == [NAMES] * 20


def test_a_round_ends_with_a_test_of_its_reward_model_and_an_open_task_and_ends_the_same_again(begun: Round):
    """People chose "tuned …" over "base …" on all 20 prompts, the longer text: the new model is right, the old one never."""
    database = str(begun.parent.parent / "votes.db")
    said = list(finish_round(begun, database))
    assert said[0] == "People decided 20 of 20 pairs on 20 held-out prompts that no reward model was trained on."
    assert said[1].startswith("The reward model that made the tuned model of round 1 agrees on 0.0% [")
    assert said[2].startswith("The reward model that made the tuned model of round 2 agrees on 100.0% [")
    assert said[3] == "The later less the earlier: +100.0 points [no spread]."
    assert said[4] == "Always choosing the side preferred more often, without reading, would be right on 100.0%."
    assert said[5] == (
        "Task 2 (first-round2) is open: 40 items, tuned (round 2) against round-1 (the round before) and base "
        f"(where round 1 began). Judge it, then: rlhf round {begun.path}"
    )
    reader = RunReader(begun.path)
    origin, test = reader.lineage(), reader.evaluation("reward_against_votes")
    assert origin == replace(begun.lineage, next_task=2)
    assert test is not None and test["difference"]["value"] == 1.0 and test["criterion"] == "helpful"
    assert list(finish_round(begun, database))[5] == said[5]
    with closing(VoteStore(database)) as store:
        assert [task.id for task in store.tasks()] == [1, 2]


def test_the_votes_of_a_round_are_those_on_its_task(begun: Round):
    database = begun.parent.parent / "votes.db"
    list(finish_round(begun, str(database)))
    with closing(VoteStore(database)) as store:
        item = store.next_item(2, "ana")
        assert item is not None
        store.vote(item.token, {"helpful": "a", "honest": "tie"}, reading_seconds=1.0)
    found = judging_of_run(begun.path, database)
    assert found is not None and set(found.votes["task_id"]) == {2} and len(found.votes) == 2
    check_votes(found.votes, ("outcome", "contender"))


def test_answers_that_name_their_author_keep_the_task_a_draft(begun: Round):
    rows = [completion(f"e{n}", "tuned", "As SmolLM, I say no.", f"Question e{n}?") for n in range(20)]
    write_jsonl(begun.path / "completions" / "tuned.jsonl", rows)
    said = list(finish_round(begun, str(begun.parent.parent / "votes.db")))
    assert "Task 2 (first-round2) is a draft: 20 completions name their author: 40 items" in said[-1]
