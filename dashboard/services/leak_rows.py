"""Completions that name their author, each with the words around the place where it does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rlhf_core.feedback.records import TaskInfo
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import TaskSpec

AROUND = 90


@dataclass(frozen=True)
class LeakRow:
    """One place: `phrase` is what gives the author away, `before` and `after` what stands around it."""

    prompt_id: str
    contender: str
    before: str
    phrase: str
    after: str


def of_plan(spec: TaskSpec) -> list[LeakRow]:
    """Return the leaks of a task that is not stored yet."""
    texts = ((item.prompt_id, name, text) for item in spec.items for name, text in item.completions)
    return _rows(((leak.prompt_id, leak.contender, leak.phrase) for leak in spec.leaks), texts)


def of_stored(store: VoteStore, info: TaskInfo) -> list[LeakRow]:
    """Return the leaks of a stored task; its texts are read only where there are some."""
    items = store.texts(info.id).values() if info.leaks else ()
    texts = ((item["prompt_id"], name, text) for item in items for name, text in item["texts"].items())
    return _rows(((leak["prompt_id"], leak["contender"], leak["phrase"]) for leak in info.leaks), texts)


def _rows(leaks: Iterable[tuple[str, str, str]], texts: Iterable[tuple[str, str, str]]) -> list[LeakRow]:
    """One row for each text of a leak's prompt and contender that says its phrase: a prompt may have several items."""
    known: dict[tuple[str, str], dict[str, None]] = {}
    for prompt, name, text in texts:
        known.setdefault((prompt, name), {})[text] = None
    return [
        LeakRow(prompt, name, *_around(text, phrase))
        for prompt, name, phrase in dict.fromkeys(leaks)
        for text in known[prompt, name]
        if phrase in text
    ]


def _around(text: str, phrase: str) -> tuple[str, str, str]:
    """The phrase with the text before and after it, in one line, cut where it is long."""
    before, _, after = text.partition(phrase)
    start = "…" if len(before) > AROUND else ""
    end = "…" if len(after) > AROUND else ""
    return start + _line(before[-AROUND:]), _line(phrase), _line(after[:AROUND]) + end


def _line(text: str) -> str:
    return " ".join(text.split("\n"))
