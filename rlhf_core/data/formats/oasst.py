"""OpenAssistant's message trees (Köpf et al. 2023, arXiv 2304.07327): replies to each message, ranked by people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import Field

from rlhf_core.data.exchange.format import Dropped, ForeignRow, Format, Reading, Row
from rlhf_core.data.exchange.talk import asked
from rlhf_core.data.records import Demonstration, Prompt, Ranking

MOST = 9  # completions of a ranking
ROLES = {"user": "prompter", "assistant": "assistant"}


class Node(ForeignRow):
    """A message and the replies to it; the best has rank 0."""

    text: str
    role: str
    rank: int | None = None
    deleted: bool = False
    replies: list[Node] = Field(default=[])


class TreeRow(ForeignRow):
    """One tree, from its first prompt on."""

    message_tree_id: str
    prompt: Node


Turns = list[tuple[str, str]]


def _asked_places(node: Node, before: Turns) -> Iterator[tuple[Turns, Sequence[Node]]]:
    """Yield every place where a person asked, with the turns up to it and the replies that were kept."""
    turns = [*before, (node.role, node.text)]
    replies = [reply for reply in node.replies if not reply.deleted and reply.text.strip()]
    if node.role == "prompter":
        yield turns, replies
    for reply in replies:
        yield from _asked_places(reply, turns)


def _rankings(row: TreeRow, reading: Reading) -> Iterator[Ranking]:
    number = 0
    for turns, replies in _asked_places(row.prompt, []):
        ranked = sorted((r for r in replies if r.rank is not None), key=lambda reply: reply.rank or 0)[:MOST]
        if len({reply.rank for reply in ranked}) < 2:
            continue
        number += 1
        completions = [{"id": f"reply-{n}", "text": reply.text} for n, reply in enumerate(ranked)]
        groups: dict[int | None, list[str]] = {}
        for completion, reply in zip(completions, ranked, strict=True):
            groups.setdefault(reply.rank, []).append(completion["id"])
        own = {"id": f"{reading.id}-{number}", "prompt_id": row.message_tree_id}
        yield Ranking.model_validate(
            asked(turns, reading) | own | {"completions": completions, "ranking": list(groups.values())}
        )
    if not number:
        raise Dropped("no two replies with a rank")


def _demonstrations(row: TreeRow, reading: Reading) -> Iterator[Demonstration]:
    number = 0
    for turns, replies in _asked_places(row.prompt, []):
        best = min(replies, key=lambda reply: MOST if reply.rank is None else reply.rank, default=None)
        if best is not None:
            number += 1
            own = {"id": f"{reading.id}-{number}", "prompt_id": row.message_tree_id, "response": best.text}
            yield Demonstration.model_validate(asked(turns, reading) | own)
    if not number:
        raise Dropped("no reply")


def _prompt(row: TreeRow, reading: Reading) -> Iterator[Prompt]:
    yield Prompt.model_validate(asked([(row.prompt.role, row.prompt.text)], reading))


def _tree(record: Ranking) -> Iterator[Row]:
    """Yield a tree that is one branch down to the prompt, and there the completions with their ranks."""
    if len(record.ranking) < 2:
        raise Dropped("all completions are tied")
    texts = {completion.id: completion.text for completion in record.completions}
    ranked = [(rank, texts[name]) for rank, group in enumerate(record.ranking) for name in group]
    below: list[Row] = [{"text": text, "role": "assistant", "rank": rank, "replies": []} for rank, text in ranked]
    for turn in reversed(record.conversation):
        below = [{"text": turn.content, "role": ROLES[turn.role], "replies": below}]
    yield {"message_tree_id": record.prompt_id or record.id, "prompt": below[0]}


FORMATS = (
    Format(
        "oasst",
        "OpenAssistant's trees: `message_tree_id` and `prompt` with its `replies`",
        TreeRow,
        read={"rankings": _rankings, "demonstrations": _demonstrations, "prompts": _prompt},
        write={"rankings": _tree},
        cannot_hold="Labels, emojis and languages of messages are left out; of a tree's replies, nine are ranked at most. Of a "
        "ranking, its id and the ids and sources of its completions, its category, weight and where it comes from are left "
        "out; its completions stand in their order, the best first; where it names no prompt, its id becomes the prompt's. "
        "Rankings in which all are tied are left out.",
    ),
)
