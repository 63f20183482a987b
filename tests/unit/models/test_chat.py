"""Conversations in chat format: what is dropped when they are long, and which tokens are replies, to the position."""

from __future__ import annotations

from typing import Any

import pytest

from rlhf_core.data.records import Message
from rlhf_core.errors import ModelError
from rlhf_core.models.chat import (
    chat_messages,
    chat_text,
    reply_mask,
    takes_system_prompt,
    token_ids,
    without_oldest_turn,
)
from rlhf_core.models.tiny import byte_tokenizer
from tests.engine import tiny_policy

TALK = [
    Message(role="user", content="Hi."),
    Message(role="assistant", content="Ho."),
    Message(role="user", content="Why?"),
    Message(role="assistant", content="So."),
    Message(role="user", content="Oh."),
]
# In the tiny tokenizer: <|im_start|> and <|im_end|> are a token each, everything else a token a byte.
USER, ASSISTANT = 1 + len("user\n"), 1 + len("assistant\n")


def size(*turns: str) -> int:
    """Tokens of user and assistant turns, the last one a question, with the beginning of the answer."""
    heads = sum(ASSISTANT if n % 2 else USER for n in range(len(turns)))
    return heads + sum(len(turn) + 2 for turn in turns) + ASSISTANT  # a turn ends in <|im_end|> and a line feed


def test_a_conversation_is_formatted_turn_by_turn():
    policy = tiny_policy()
    ids = policy.encode_prompt(TALK, "Be kind.", 128)
    assert policy.tokenizer.decode(ids) == (
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi.<|im_end|>\n<|im_start|>assistant\nHo.<|im_end|>\n"
        "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\nSo.<|im_end|>\n<|im_start|>user\nOh.<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert policy.encode_prompt(TALK[:1], "", 128) == policy.encode_prompt("Hi.", "", 128)


REFUSES = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
LEAVES_OUT = "{% for m in messages if m['role'] != 'system' %}{{ m['content'] }}{% endfor %}"


@pytest.mark.parametrize(("template", "takes"), [(REFUSES, False), (LEAVES_OUT, False), (None, False), ("", True)])
def test_a_template_takes_a_system_prompt_where_it_writes_one(template: str | None, takes: bool):
    """Some templates raise an error of their own, others pass it over in silence; without one there are no roles at all."""
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = tokenizer.chat_template if template == "" else template
    assert takes_system_prompt(tokenizer) == takes


def test_replies_are_marked_from_their_first_token_to_their_eos():
    """Positions by hand: `Ho.` begins after user head, `Hi.`, two more and the assistant head: 6 + 3 + 2 + 11 = 22."""
    tokenizer = byte_tokenizer()
    messages = chat_messages(TALK, "")
    mask = reply_mask(tokenizer, messages)
    first = USER + 3 + 2 + ASSISTANT
    second = first + 3 + 2 + USER + 4 + 2 + ASSISTANT
    assert (first, second) == (22, 50)
    assert [n for n, counts in enumerate(mask) if counts] == [22, 23, 24, 25, 50, 51, 52, 53]
    ids = token_ids(tokenizer, chat_text(tokenizer, messages))
    assert len(mask) == len(ids)
    assert tokenizer.decode([i for i, counts in zip(ids, mask, strict=True) if counts]) == "Ho.<|im_end|>So.<|im_end|>"


@pytest.mark.parametrize("reply", ["<|im_end|> is a sign", "Ünï🙂", "\n indented", "trailing \n\n"])
def test_a_reply_is_marked_whole_whatever_is_in_it(reply: str):
    tokenizer = byte_tokenizer()
    turns = [TALK[0], Message(role="assistant", content=reply), TALK[2]]
    messages = chat_messages(turns, "Be kind.")
    ids, mask = token_ids(tokenizer, chat_text(tokenizer, messages)), reply_mask(tokenizer, messages)
    marked = tokenizer.decode([i for i, counts in zip(ids, mask, strict=True) if counts])
    assert marked == f"{reply}<|im_end|>"


@pytest.mark.parametrize(
    "template",
    [
        None,  # no chat format at all
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}",  # nothing closes a reply
        "{% for m in messages %}{% if m['role'] == 'user' or loop.last %}{{ m['content'] }}<|im_end|>{% endif %}{% endfor %}",
    ],
)
def test_a_chat_format_in_which_replies_cannot_be_learnt_is_refused(template: Any):
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = template
    with pytest.raises(ModelError, match=r"does not close every reply with eos.*Set sft\.learn_from=last"):
        reply_mask(tokenizer, chat_messages(TALK, ""))


def test_the_oldest_turns_are_dropped_until_the_rest_fits():
    policy = tiny_policy()
    whole, two, one = size("Hi.", "Ho.", "Why?", "So.", "Oh."), size("Why?", "So.", "Oh."), size("Oh.")
    for limit, expected in (
        (whole, TALK),
        (whole - 1, TALK[2:]),
        (two, TALK[2:]),
        (two - 1, TALK[4:]),
        (one, TALK[4:]),
    ):
        kept = policy.encode_prompt(TALK, "", limit, "drop_turns")
        assert kept == policy.encode_prompt(expected, "", 128) and len(kept) <= limit


def test_the_system_prompt_stays_when_turns_go():
    messages = chat_messages(TALK[:3], "Be kind.")
    shorter = without_oldest_turn(messages)
    assert shorter == [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Why?"}]
    assert without_oldest_turn(shorter) is None


@pytest.mark.parametrize(
    ("long_prompts", "limit"), [("refuse", size("Why?", "So.", "Oh.")), ("drop_turns", size("Oh.") - 1)]
)
def test_what_does_not_fit_is_refused_with_its_last_message(long_prompts: Any, limit: int):
    with pytest.raises(ModelError, match=rf"limit is {limit} \(found 'Oh\.'\).*raise policy\.max_prompt_tokens"):
        tiny_policy().encode_prompt(TALK, "", limit, long_prompts)
