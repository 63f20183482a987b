"""Conversations in a model's own chat format: as text, as token ids, and which of the tokens are replies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from jinja2 import TemplateError

from rlhf_core.data.records import Message
from rlhf_core.errors import ModelError

ChatMessage = dict[str, str]
LongPrompts = Literal["refuse", "drop_turns"]


def chat_messages(prompt: str | Sequence[Message], system_prompt: str) -> list[ChatMessage]:
    """Return a prompt or conversation as a chat template takes it, after the system prompt when there is one."""
    turns = [Message(role="user", content=prompt)] if isinstance(prompt, str) else prompt
    return [
        *([{"role": "system", "content": system_prompt}] if system_prompt else []),
        *({"role": turn.role, "content": turn.content} for turn in turns),
    ]


def takes_system_prompt(tokenizer: Any) -> bool:
    """Say whether the tokenizer's chat template has a place for a system prompt: some refuse one, some leave it out."""
    if not tokenizer.chat_template:
        return False
    mark = "Answer in verse."
    try:
        return mark in chat_text(tokenizer, chat_messages("Why?", mark))
    except TemplateError:
        return False


def without_oldest_turn(messages: Sequence[ChatMessage]) -> list[ChatMessage] | None:
    """Return the messages without the first question and its reply; None when the last question would go."""
    first = int(messages[0]["role"] == "system")
    return [*messages[:first], *messages[first + 2 :]] if len(messages) > first + 2 else None


def chat_text(tokenizer: Any, messages: Sequence[ChatMessage], *, answer: bool = True) -> str:
    """Return messages in the tokenizer's chat format, up to where the assistant is to `answer`.

    A tokenizer without a chat template sets them apart by empty lines.
    """
    if tokenizer.chat_template:
        return tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=answer)
    return "\n\n".join(m["content"] for m in messages) + "\n\n"


def token_ids(tokenizer: Any, text: str) -> list[int]:
    """Return the token ids of a text in chat format, which has its special tokens already."""
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def reply_mask(tokenizer: Any, messages: Sequence[ChatMessage]) -> list[bool]:
    """Say of each token of `chat_text(tokenizer, messages)` whether it belongs to a reply, the eos that closes it included.

    Raises:
        ModelError: the chat format does not close replies with eos, or rewrites earlier turns when later ones come.
    """
    whole = chat_text(tokenizer, messages)
    spans = [
        _reply_span(tokenizer, messages[: n + 1], whole) for n, m in enumerate(messages) if m["role"] == "assistant"
    ]
    offsets = tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return [any(start <= a and b <= end for start, end in spans) for a, b in offsets]


def _reply_span(tokenizer: Any, messages: Sequence[ChatMessage], whole: str) -> tuple[int, int]:
    """Return where in the whole text the last of these messages stands, its eos included."""
    before, after = chat_text(tokenizer, messages[:-1]), chat_text(tokenizer, messages, answer=False)
    eos = tokenizer.eos_token
    end = after.find(eos, len(before) + len(messages[-1]["content"].strip()))
    if not (after.startswith(before) and whole.startswith(after) and end >= 0):
        raise ModelError(
            "the chat format does not close every reply with eos where it stands",
            value=after[-40:],
            remedy="Set sft.learn_from=last",
        )
    return len(before), end + len(eos)
