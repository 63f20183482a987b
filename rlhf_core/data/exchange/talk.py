"""Conversations as other projects write them: lists of messages with roles of their own, system prompts among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rlhf_core.data.exchange.format import Dropped, Reading, Row
from rlhf_core.data.records import Asked, Message
from rlhf_core.errors import DataError

ROLES = {
    **dict.fromkeys(("user", "human", "prompter", "Human"), "user"),
    **dict.fromkeys(("assistant", "gpt", "bot", "chatgpt", "model", "Assistant"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
}
SYSTEM = "a system prompt was put before the first message"


def asked(turns: Sequence[tuple[str, str]], reading: Reading) -> Row:
    """Return the fields of a record that is asked what a conversation ends with: (role, text) turns up to a user's.

    A system prompt has no place of its own in a record: it is put before the first message, as chat templates without
    a system role do.

    Raises:
        DataError: a role is unknown, turns do not alternate, or the last is not a user's.
    """
    known = [(_role(role), text) for role, text in turns]
    system = [text for role, text in known if role == "system"]
    talk = [(role, text) for role, text in known if role != "system"]
    if len(system) > 1 or (system and known[0][0] != "system"):
        raise DataError("a system message after the first turn; expected one at the beginning")
    if [role for role, _ in talk] != (["user", "assistant"] * len(talk))[: len(talk)] or len(talk) % 2 == 0:
        found = [role for role, _ in talk]
        raise DataError(f"expected turns of user and assistant in alternation up to a user's, found {found}")
    if system and system[0].strip():
        reading.notes[SYSTEM] += 1
        talk[0] = ("user", f"{system[0].strip()}\n\n{talk[0][1]}")
    *history, (_, prompt) = talk
    return {
        "id": reading.id,
        "prompt": prompt,
        "history": [Message.model_validate({"role": role, "content": text}) for role, text in history],
    }


def with_reply(turns: Sequence[tuple[str, str]], reading: Reading) -> tuple[Row, str]:
    """Return what is asked and the reply to it, of a conversation that ends with a reply.

    Raises:
        Dropped: nothing was replied.
        DataError: as `asked`, or the last turn is not a reply.
    """
    if not turns or _role(turns[-1][0]) != "assistant":
        raise DataError("expected a conversation that ends with the assistant")
    if not turns[-1][1].strip():
        raise Dropped("the reply is empty")
    return asked(turns[:-1], reading), turns[-1][1]


def messages_of(record: Asked, reply: str | None = None) -> list[Row]:
    """Return a record's conversation as messages with `role` and `content`, with a reply at its end."""
    messages = [message.model_dump() for message in record.conversation]
    return messages if reply is None else [*messages, {"role": "assistant", "content": reply}]


def turns_of(
    messages: Sequence[Mapping[str, Any]], role: str = "role", content: str = "content"
) -> list[tuple[str, str]]:
    """Return messages as (role, text) turns.

    The content of a message may be a list of parts `{"type": "text", "text": …}`.

    Raises:
        DataError: a message has no role or no text; the pictures and tool calls of some are no text.
    """
    turns: list[tuple[Any, Any]] = [(message.get(role), _text(message.get(content))) for message in messages]
    for number, turn in enumerate(turns, 1):
        for name, found in zip((role, content), turn, strict=True):
            if not isinstance(found, str):
                raise DataError(f"expected a text as {name} of message {number}, found {found!r:.80}")
    return turns


def _text(content: Any) -> Any:
    """Return the text of parts that are all text; anything else as it is."""
    if isinstance(content, list) and content:
        parts = [part for part in content if isinstance(part, dict) and part.get("type") == "text"]
        texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
        if len(texts) == len(content):
            return "\n\n".join(texts)
    return content


def _role(name: str) -> str:
    if name not in ROLES:
        raise DataError(f"unknown role {name!r}; expected one of {', '.join(sorted(ROLES))}")
    return ROLES[name]
