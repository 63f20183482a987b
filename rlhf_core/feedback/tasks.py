"""Build judging tasks: which pairs people see, which are left out, and which completions give their author away."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rlhf_core.data.records import ContenderCompletion
from rlhf_core.errors import DataError

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


@dataclass(frozen=True)
class TaskItem:
    """One pair to judge."""

    prompt_id: str
    prompt: str
    category: str
    baseline_text: str
    contender_text: str


@dataclass(frozen=True)
class TaskSpec:
    """A fixed set of pairs with instructions. `identical` and `unmatched` count the prompts that were left out."""

    run_name: str
    baseline: str
    contender: str
    instructions: str
    seed: int
    items: tuple[TaskItem, ...]
    identical: int
    unmatched: int
    leaks: tuple[Leak, ...]

    @property
    def instruction_version(self) -> str:
        """The first 12 hex digits of the instructions' SHA-256."""
        return hashlib.sha256(self.instructions.encode("utf-8")).hexdigest()[:12]

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of everything a labeller sees and everything that decides the sides."""
        content = json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(content.encode("utf-8")).hexdigest()


def build_task(
    run_name: str,
    baseline: Sequence[ContenderCompletion],
    contender: Sequence[ContenderCompletion],
    instructions: str,
    seed: int,
) -> TaskSpec:
    """Match two contenders' completions by prompt id into a task.

    Pairs whose texts are identical (white space at the ends aside) are left out and counted, as are prompts that only
    one contender answered. Completions that name their author are listed in `leaks`, and stay in.

    Raises:
        DataError: no instructions; no completions; several contenders, a repeated prompt id or another prompt text
            within one id; the same contender twice; nothing left to judge.
    """
    if not instructions.strip():
        raise DataError("the task has no instructions", where=run_name, remedy="Say what labellers should prefer")
    left, right = _by_prompt(baseline, f"{run_name}: baseline"), _by_prompt(contender, f"{run_name}: contender")
    names = baseline[0].contender, contender[0].contender
    if names[0] == names[1]:
        raise DataError("a contender cannot be compared with itself", where=run_name, value=names[0])
    pairs = [(left[key], right[key]) for key in left if key in right]
    _refuse_other_prompts(pairs, run_name)
    different = [(old, new) for old, new in pairs if old.text.strip() != new.text.strip()]
    if not different:
        raise DataError(
            f"nothing to judge: {len(pairs)} prompts in common, all answered alike",
            where=run_name,
            value=list(names),
            remedy="Generate completions of both contenders for the same prompts",
        )
    return TaskSpec(
        run_name=run_name,
        baseline=names[0],
        contender=names[1],
        instructions=instructions,
        seed=seed,
        items=tuple(TaskItem(old.prompt_id, old.prompt, old.category, old.text, new.text) for old, new in different),
        identical=len(pairs) - len(different),
        unmatched=len(left) + len(right) - 2 * len(pairs),
        leaks=tuple(leak for pair in different for row in pair for leak in find_leaks(row, names)),
    )


def find_leaks(row: ContenderCompletion, contenders: Sequence[str]) -> list[Leak]:
    """Return the phrases in a completion that name a model, its maker or one of the contenders."""
    patterns = [*IDENTITY_PHRASES, *(_name_pattern(name) for name in contenders)]
    found = [match.group() for pattern in patterns for match in re.finditer(pattern, row.text, re.IGNORECASE)]
    return [Leak(row.prompt_id, row.contender, phrase) for phrase in dict.fromkeys(found)]


def _name_pattern(name: str) -> str:
    suffix = r"\s+(?:model|version|policy|checkpoint)" if name.casefold() in ORDINARY_WORDS else ""
    return rf"(?<!\w){re.escape(name)}{suffix}(?!\w)"


def _by_prompt(rows: Sequence[ContenderCompletion], where: str) -> dict[str, ContenderCompletion]:
    if not rows:
        raise DataError("no completions", where=where, remedy="Run `rlhf generate` first")
    if len(names := sorted({row.contender for row in rows})) > 1:
        raise DataError("completions of several contenders; expected one", where=where, value=names)
    by_prompt = {row.prompt_id: row for row in rows}
    if len(by_prompt) < len(rows):
        ids = [row.prompt_id for row in rows]
        repeated = [key for key in by_prompt if ids.count(key) > 1]
        raise DataError("prompt ids repeat; expected one completion for each", where=where, value=repeated)
    return by_prompt


def _refuse_other_prompts(pairs: list[tuple[ContenderCompletion, ContenderCompletion]], where: str) -> None:
    if other := [old.prompt_id for old, new in pairs if old.prompt != new.prompt]:
        raise DataError(
            "the contenders answered different prompts under the same ids",
            where=where,
            value=other,
            remedy="Generate both from the same prompts file",
        )
