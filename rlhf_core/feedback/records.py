"""What the vote store hands out: an item as a labeller sees it, progress, a task and how it is doing, who was invited."""

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


@dataclass(frozen=True)
class LabellerProgress:
    """What one labeller has judged: items, gold items and repeats. `simulated` of these votes no person gave; `last` is
    when the newest came (UTC)."""

    labeller: str
    judged: int
    golds: int
    repeats: int
    simulated: int
    last: str


@dataclass(frozen=True)
class InstructionVersion:
    """One version of a task's instructions, and the votes in force that were given under it."""

    version: str
    text: str
    created_at: str
    votes: int


@dataclass(frozen=True)
class TaskProgress:
    """How a task is doing; not for labellers.

    Attributes:
        labellers: those with votes, by name.
        items_by_votes: how many items have 0, 1, 2 … votes, gold items and repeats left out.
    """

    labellers: tuple[LabellerProgress, ...]
    items_by_votes: dict[int, int]


@dataclass(frozen=True)
class Session:
    """Somebody's browser that was let in, until `expires_at` (seconds since 1970). `id` is no secret."""

    id: int
    name: str
    role: str
    expires_at: float


@dataclass(frozen=True)
class Invitation:
    """A person's newest invitation: `state` is "in force", "expired" or "revoked"; `sessions` begun with it and not left."""

    name: str
    role: str
    state: str
    expires: str
    invited: str
    sessions: int


@dataclass(frozen=True)
class Event:
    """Something that happened to a person's access: `by` is who did it (empty: on the server), or from where."""

    at: str
    name: str
    what: str
    by: str
