"""Pairs of answers that somebody kept as judging items: `<run>/playground.jsonl`, one a line, never rewritten."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import Field, model_validator

from rlhf_core.data.contenders import in_order
from rlhf_core.data.io import append_jsonl, read_jsonl
from rlhf_core.data.records import Asked, ContenderCompletion
from rlhf_core.data.splits import normalise
from rlhf_core.errors import DataError
from rlhf_core.feedback.clock import stamp
from rlhf_core.feedback.tasks import TaskSpec, build_task
from rlhf_core.playground.protocol import Done, Request

FILE = "playground.jsonl"
DIGITS = 12


class KeptPair(Asked):
    """What two contenders answered to one message, in the order contenders are listed, and how both drew.

    Its completions go by the pair's own id, since a prompt may be kept with several pairs; `asked` is the prompt's.
    """

    completions: tuple[ContenderCompletion, ContenderCompletion]
    temperature: float = Field(ge=0)
    top_p: float
    seed: int
    max_new_tokens: int
    kept_at: str

    @model_validator(mode="after")
    def _is_one_pair(self) -> KeptPair:
        if {row.prompt_id for row in self.completions} != {self.id}:
            raise ValueError("completions: their prompt_id must be the pair's id")
        if len(set(self.contenders)) < 2:
            raise ValueError("completions: expected those of two contenders")
        return self

    @property
    def contenders(self) -> tuple[str, str]:
        """Who wrote them."""
        return self.completions[0].contender, self.completions[1].contender

    @property
    def asked(self) -> str:
        """The id of what was asked: the same for every pair of one conversation, but for case, spaces and punctuation."""
        return f"asked-{_digest([[turn.role, normalise(turn.content)] for turn in self.conversation])}"


def pair_of(request: Request, answers: Sequence[Done], now: float | None = None) -> KeptPair:
    """Return the pair that a request's two answers make.

    Its id is a hash of what was asked and answered, and by whom: the same pair has it however often it is drawn.

    Raises:
        DataError: the answers are alike but for white space at their ends, so nobody could prefer one; or they follow a
            system prompt, which a judging item has no place for.
    """
    if request.system_prompt:
        raise DataError(
            "these answers follow a system prompt, which labellers would not see",
            value=request.system_prompt,
            remedy="Clear it and ask again",
        )
    texts = dict(zip(request.contenders, answers, strict=True))
    if len({answer.text.strip() for answer in answers}) == 1:
        remedy = "Try another seed or a higher temperature" if request.temperature else "Raise the temperature above 0"
        raise DataError("both answers are the same, so there is nothing to judge", remedy=remedy)
    names = in_order(texts)
    content = [request.transcript, [[name, texts[name].text] for name in names]]
    number = f"kept-{_digest(content)}"
    first, second = (
        ContenderCompletion(
            prompt_id=number, prompt=request.transcript, history=request.history, category=request.category, contender=name,
            text=texts[name].text, tokens=texts[name].tokens, finished=texts[name].finished,
        )
        for name in names
    )  # fmt: skip
    return KeptPair(
        id=number, prompt=request.prompt, history=request.history, category=request.category,
        completions=(first, second), temperature=request.temperature, top_p=request.top_p, seed=request.seed,
        max_new_tokens=request.max_new_tokens, kept_at=stamp(time.time() if now is None else now),
    )  # fmt: skip


def keep_pair(run: Path, pair: KeptPair) -> bool:
    """Append a pair to the run's; False where it is among them already, which changes nothing.

    Raises:
        DataError: the file is damaged; the message names the line.
    """
    if any(one.id == pair.id for one in kept_pairs(run)):
        return False
    append_jsonl(run / FILE, pair)
    return True


def kept_pairs(run: Path) -> list[KeptPair]:
    """Return a run's kept pairs, oldest first, each once.

    Raises:
        DataError: the file is damaged; the message names the line.
    """
    path = run / FILE
    if not path.is_file() or not path.stat().st_size:
        return []
    return list({pair.id: pair for pair in reversed(read_jsonl(path, KeptPair))}.values())[::-1]


def by_contenders(pairs: Sequence[KeptPair]) -> dict[tuple[str, str], list[KeptPair]]:
    """Return the pairs of each two contenders: a judging task compares the same ones throughout."""
    found: dict[tuple[str, str], list[KeptPair]] = {}
    for pair in pairs:
        found.setdefault(pair.contenders, []).append(pair)
    return found


def task_of(run_name: str, pairs: Sequence[KeptPair], instructions: str) -> TaskSpec:
    """Return the judging task of pairs of the same two contenders, an item each.

    Items of one conversation share its prompt id: votes on them are votes on one prompt, and count as such in intervals.

    Raises:
        DataError: there are no pairs, or no instructions.
    """
    rows = [[pair.completions[side] for pair in pairs] for side in (0, 1)]
    spec = build_task(run_name, rows, instructions, seed=0)
    asked = {pair.id: pair.asked for pair in pairs}
    return replace(
        spec,
        items=tuple(replace(item, prompt_id=asked[item.prompt_id]) for item in spec.items),
        leaks=tuple(replace(leak, prompt_id=asked[leak.prompt_id]) for leak in spec.leaks),
    )


def _digest(content: object) -> str:
    text = json.dumps(content, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:DIGITS]
