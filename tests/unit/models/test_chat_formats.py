"""Chat templates of models that leave: transformers alone formats as this project does."""

from __future__ import annotations

import pytest

from rlhf_core.models.chat import chat_messages, chat_text
from rlhf_core.models.chat_formats import trimmed, with_system_prompt
from rlhf_core.models.sources import load_tokenizer
from tests.hostile import NAMES

SYSTEM = ["Be brief.", "", 'a "quote" \' {{ x }} {% endif %} %}\n\t\\ 😀 é #} \\n', *NAMES]


@pytest.mark.parametrize("own", [True, False], ids=["chatml", "no template"])
@pytest.mark.parametrize("system", SYSTEM)
def test_the_system_prompt_is_in_the_template_whatever_stands_in_it(system: str, own: bool):
    tokenizer = load_tokenizer("tiny")
    tokenizer.chat_template = tokenizer.chat_template if own else None
    expected = chat_text(tokenizer, chat_messages("Why?\nNow.", system))
    tokenizer.chat_template = with_system_prompt(tokenizer.chat_template, system)
    asked = [{"role": "user", "content": "Why?\nNow."}]
    assert tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True) == expected


def test_a_conversation_that_brings_a_system_prompt_keeps_it():
    tokenizer = load_tokenizer("tiny")
    messages = chat_messages("Why?", "Mine.")
    expected = chat_text(tokenizer, messages)
    tokenizer.chat_template = with_system_prompt(tokenizer.chat_template, "Theirs.")
    assert tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == expected


def test_a_trimmed_template_ends_with_eos():
    tokenizer = load_tokenizer("tiny")
    chat = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "No."}]
    whole = tokenizer.apply_chat_template(chat, tokenize=False)
    tokenizer.chat_template = trimmed(tokenizer.chat_template)
    assert whole.endswith("<|im_end|>\n")
    assert tokenizer.apply_chat_template(chat, tokenize=False) == whole[:-1]
