"""Small judging tasks and vote frames for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from rlhf_core.data.records import ContenderCompletion
from rlhf_core.feedback.records import Assignment
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import TaskDesign, TaskSpec, build_task

INSTRUCTIONS = "Choose the answer you would rather have received."


def completion(prompt_id: str, contender: str, text: str, prompt: str = "") -> ContenderCompletion:
    """Return one completion; the prompt follows from its id."""
    question = prompt or f"Question {prompt_id}?"
    return ContenderCompletion(
        prompt_id=prompt_id,
        prompt=question,
        category="helpful",
        contender=contender,
        text=text,
        tokens=3,
        finished=True,
    )


def make_spec(size: int = 6, seed: int = 0, instructions: str = INSTRUCTIONS, **design: Any) -> TaskSpec:
    """Return a task of `size` pairs; base writes "old …", tuned "new …"."""
    ids = [f"p{i}" for i in range(size)]
    base = [completion(i, "base", f"old {i}") for i in ids]
    tuned = [completion(i, "tuned", f"new {i}") for i in ids]
    return build_task("demo", [base, tuned], instructions, seed, TaskDesign(**design))


def contender_side(shown: Assignment) -> str:
    """Return the side on which a pair of `make_spec` shows the contender."""
    return "a" if shown.texts[0].startswith("new") else "b"


def shown(store: VoteStore, task: int, labeller: str = "ana") -> Assignment:
    """Return the item that the labeller sees now; there must be one."""
    item = store.next_item(task, labeller)
    assert item is not None
    return item


def judge(store: VoteStore, task: int, verdict: str = "tie", labeller: str = "ana") -> Assignment:
    """Give a verdict on the item that the labeller sees now, and return the item."""
    item = shown(store, task, labeller)
    store.vote(item.token, verdict, reading_seconds=1.0)
    return item


def vote_frame(outcomes: Sequence[str], *, prompts: Sequence[str] = (), labellers: Sequence[str] = ()) -> pd.DataFrame:
    """Return votes with these outcomes: prompts all different and one labeller unless given, the contender always A."""
    score = {"contender": 1.0, "baseline": 0.0, "tie": 0.5, "both_bad": 0.5}
    return pd.DataFrame(
        {
            "prompt_id": list(prompts) or [f"p{i}" for i in range(len(outcomes))],
            "labeller": list(labellers) or ["ana"] * len(outcomes),
            "baseline": "base",
            "contender": "tuned",
            "category": "helpful",
            "outcome": list(outcomes),
            "score": [score[outcome] for outcome in outcomes],
            "contender_side": "a",
            "simulated": False,
        }
    )
