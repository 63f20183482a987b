"""What is to be done: sizes and made-up inputs, the same for every side. Needs nothing but the standard library."""

from __future__ import annotations

import gzip
import json
import random
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

COMMON = (
    "time year people way day man thing woman life child world school state family student "
    "group country problem hand part place case week company system program question work "
    "government number night point home water room mother area money"
)


@dataclass(frozen=True)
class Work:
    """One piece of work. Lengths in tokens, and in words of one token for preference pairs."""

    model: str
    """Folder of the causal language model."""
    encoder: str
    """Folder of the reward model's backbone."""
    dtype: Literal["float32", "bfloat16"]
    batch: int = 16
    prompt: int = 32
    response: int = 32
    epochs: int = 4
    steps: int = 2
    """PPO iterations, optimiser steps, or repetitions."""
    pairs: str = ""
    """A JSONL file, perhaps gzipped, of `chosen` and `rejected` texts; made-up pairs without one."""
    held_out: str = ""
    """Such a file, which accuracy is measured on."""
    seed: int = 0

    @property
    def tokens(self) -> int:
        """Tokens of all steps, prompts included."""
        return self.steps * self.batch * (self.prompt + self.response)


@dataclass(frozen=True)
class Pair:
    """Two answers to one prompt."""

    prompt: str
    chosen: str
    rejected: str


def random_prompts(work: Work, count: int) -> list[list[int]]:
    """Return `count` prompts of random token ids, all of the same length."""
    vocabulary = json.loads((Path(work.model) / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    chance = random.Random(0)
    return [[chance.randrange(10, min(vocabulary, 40_000)) for _ in range(work.prompt)] for _ in range(count)]


def preference_pairs(work: Work) -> list[Pair]:
    """Return `steps · batch` pairs: the first of the file, or random words that make texts of full length."""
    count = work.steps * work.batch
    if work.pairs:
        return read_pairs(work.pairs, count)
    chance = random.Random(0)

    def text(words: int) -> str:
        return " ".join(chance.choices(COMMON.split(), k=words))

    return [Pair(text(work.prompt), text(work.response), text(work.response)) for _ in range(count)]


def read_pairs(file: str, count: int | None = None) -> list[Pair]:
    """Return the first `count` pairs of a file; the lines that both texts begin with are the prompt."""
    path = Path(file)
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in islice(lines, count)]
    return [_split(row["chosen"], row["rejected"]) for row in rows]


def _split(chosen: str, rejected: str) -> Pair:
    both = zip(chosen, rejected, strict=False)
    same = next((n for n, (a, b) in enumerate(both) if a != b), min(len(chosen), len(rejected)))
    start = chosen.rfind("\n", 0, same) + 1
    return Pair(chosen[:start], chosen[start:], rejected[start:])
