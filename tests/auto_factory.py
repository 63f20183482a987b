"""Write an automatic judge's verdicts for tests: which pairs it sways on, wins and leaves open is decided by place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rlhf_core.data.io import write_jsonl
from rlhf_core.evaluation.auto_judge import AutoVerdict, Pair, Reading

SAID = ("BA", "BA", "AA", "BA", "xx", "AB")
"""Of six pairs the contender wins three, one is swayed by the order, one both bad, one lost."""
WORDS = {"A": "A", "B": "B", "x": "both bad"}


def verdict_of(pair: Pair, said: str, criterion: str = "overall") -> AutoVerdict:
    """`said` are the letters of the two orders, the baseline's answer first in the first."""
    readings = [
        Reading(first=first, said=WORDS[one], answer=f"Why not.\nVerdict: {WORDS[one]}")
        for first, one in zip(("baseline", "contender"), said, strict=True)
    ]
    return AutoVerdict(
        pair=pair.key, prompt_id=pair.prompt_id, category=pair.category, baseline=pair.baseline,
        contender=pair.contender, criterion=criterion, readings=readings,
    )  # fmt: skip


def write_verdicts(file: Path, pairs: Sequence[Pair], criterion: str = "overall") -> None:
    """Write a verdict on each pair, by `SAID` in turn."""
    write_jsonl(file, [verdict_of(pair, SAID[n % len(SAID)], criterion) for n, pair in enumerate(pairs)])
