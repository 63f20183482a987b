"""What the vote store hands out: an item as a labeller sees it, progress, a task as its owner sees it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Assignment:
    """What a labeller sees of one item. Nothing in it tells who wrote A, or why the item is shown."""

    token: str
    item_id: int
    form: str
    criteria: tuple[str, ...]
    prompt: str
    category: str
    texts: tuple[str, ...]
    position: int
    total: int


@dataclass(frozen=True)
class Progress:
    """Items judged by one labeller, out of the task's `total`."""

    done: int
    total: int


@dataclass(frozen=True)
class TaskInfo:
    """A task for its owner; it names the contenders, so it is not for labellers.

    Attributes:
        leaks: the completions that name their author, each {prompt_id, contender, phrase}.
        judged: item places filled: an item that two labellers judged fills two.
        places: how many there are, items × overlap; None where everybody judges everything.
    """

    id: int
    run_name: str
    form: str
    contenders: tuple[str, ...]
    criteria: tuple[str, ...]
    overlap: int | None
    gold_every: int
    repeat_every: int | None
    state: str
    instructions: str
    instruction_version: str
    items: int
    golds: int
    identical: int
    unmatched: int
    leaks: tuple[dict[str, str], ...]
    judged: int
    places: int | None
    votes: int
    labellers: int
    created_at: str
