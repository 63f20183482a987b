"""Pairs of answers that somebody kept as judging items: `<run>/playground.jsonl`, one a line, never rewritten."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, model_validator

from rlhf_core.data.contenders import in_order
from rlhf_core.data.io import append_jsonl, read_jsonl
from rlhf_core.data.records import Asked, ContenderCompletion
from rlhf_core.errors import DataError
from rlhf_core.feedback.clock import stamp
from rlhf_core.playground.protocol import Done, Request

FILE = "playground.jsonl"
DIGITS = 12


class KeptPair(Asked):
    """What two contenders answered to one prompt, in the order contenders are listed, and how both drew."""

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


def pair_of(request: Request, answers: Sequence[Done], now: float | None = None) -> KeptPair:
    """Return the pair that a request's two answers make.

    Its id is a hash of what was asked and answered, and by whom: the same pair has it however often it is drawn.

    Raises:
        DataError: the answers are alike but for white space at their ends, so nobody could prefer one.
    """
    texts = dict(zip(request.contenders, answers, strict=True))
    if len({answer.text.strip() for answer in answers}) == 1:
        remedy = "Try another seed or a higher temperature" if request.temperature else "Raise the temperature above 0"
        raise DataError("both answers are the same, so there is nothing to judge", remedy=remedy)
    names = in_order(texts)
    content = [request.transcript, [[name, texts[name].text] for name in names]]
    digest = hashlib.sha256(json.dumps(content, ensure_ascii=False).encode("utf-8")).hexdigest()
    number = f"kept-{digest[:DIGITS]}"
    first, second = (
        ContenderCompletion(
            prompt_id=number, prompt=request.transcript, category=request.category, contender=name,
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
