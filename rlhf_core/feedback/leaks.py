"""Completions that give their author away: a labeller who knows who wrote A is not blind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rlhf_core.data.records import ContenderCompletion

_MAKERS = "openai|anthropic|google|meta|mistral|microsoft|alibaba|deepseek"
_MODELS = "chatgpt|gpt-?\\d*|claude|gemini|llama|qwen|mistral|deepseek"
IDENTITY_PHRASES = (
    r"\bsmollm\w*",
    r"\bhugging\s?face\b",
    rf"\b(?:trained|developed|created|made|built)\s+by\s+(?:{_MAKERS})\b",
    rf"\b(?:i\s+am|i['’]m|as|named|called|my\s+name\s+is)\s+(?:{_MODELS})\b",
)
"""Ways to name oneself. Other models' names alone are no sign: a llama is an animal, the mistral a wind."""
ORDINARY_WORDS = frozenset({"base", "tuned", "reference", "old", "new"})
"""Contender names that are also plain English: alone they tell nothing, "the base model" does."""


@dataclass(frozen=True)
class Leak:
    """A completion that names its author: `phrase` is what it says."""

    prompt_id: str
    contender: str
    phrase: str


def find_leaks(row: ContenderCompletion, contenders: Sequence[str]) -> list[Leak]:
    """Return the phrases in a completion that name a model, its maker or one of the contenders.

    Of a contender called by its run and name (`quickstart/tuned`) either alone gives it away.
    """
    names = dict.fromkeys(part for name in contenders for part in (name, *name.split("/")))
    patterns = [*IDENTITY_PHRASES, *(_name_pattern(name) for name in names if name)]
    found = [match.group() for pattern in patterns for match in re.finditer(pattern, row.text, re.IGNORECASE)]
    return [Leak(row.prompt_id, row.contender, phrase) for phrase in dict.fromkeys(found)]


def _name_pattern(name: str) -> str:
    suffix = r"\s+(?:model|version|policy|checkpoint)" if name.casefold() in ORDINARY_WORDS else ""
    return rf"(?<!\w){re.escape(name)}{suffix}(?!\w)"
