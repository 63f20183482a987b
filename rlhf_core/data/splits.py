"""Splits by prompt, and the guard that keeps evaluation prompts out of training."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from rlhf_core.errors import DataError

T = TypeVar("T")


def normalise(text: str) -> str:
    """Fold case, width, punctuation and white space away, so that equal questions compare equal.

    Combining marks stay (in many scripts they are the vowels), and so does a text that is nothing but signs.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(c if c.isalnum() or c == "_" or unicodedata.category(c).startswith("M") else " " for c in folded)
    return " ".join((kept if kept.strip() else folded).split())


def split_by_prompt(
    rows: Sequence[T], prompts: Sequence[str], eval_fraction: float, seed: int
) -> tuple[list[T], list[T]]:
    """Split `rows` into (train, eval) so that all rows of one normalised prompt fall on the same side."""
    keys = [normalise(p) for p in prompts]
    unique = sorted(set(keys))
    random.Random(seed).shuffle(unique)
    held_out = set(unique[: max(1, round(len(unique) * eval_fraction))])
    train = [row for row, key in zip(rows, keys, strict=True) if key not in held_out]
    return train, [row for row, key in zip(rows, keys, strict=True) if key in held_out]


def refuse_overlap(train: Mapping[str, str], held_out: Mapping[str, str], where: str) -> None:
    """Raise when a held-out prompt (id → text) is also a training prompt, listing the rows.

    Raises:
        DataError: some prompts appear on both sides after normalisation.
    """
    seen = {normalise(text): name for name, text in train.items()}
    both = [f"{name} = {seen[normalise(text)]}: {text!r}" for name, text in held_out.items() if normalise(text) in seen]
    refuse_found(both, "are also training prompts", where)


def refuse_found(found: Sequence[str], what: str, where: str | Path) -> None:
    """Raise when held-out prompts were found in training data, listing up to twenty of the rows.

    Raises:
        DataError: `found` is not empty.
    """
    if found:
        rows = "\n  ".join(found[:20])
        raise DataError(
            f"{len(found)} held-out prompts {what}:\n  {rows}",
            where=where,
            remedy="Remove them from one side: a model may not be judged on what it was trained on",
        )


def near_duplicates(
    left: Mapping[str, str], right: Mapping[str, str], threshold: float = 0.5
) -> list[tuple[str, str, float]]:
    """Return (left id, right id, share) for prompts that share more than `threshold` of the shorter one's 3-word sequences."""
    grams = {name: _trigrams(text) for name, text in right.items()}
    found = []
    for name, text in left.items():
        mine = _trigrams(text)
        for other, theirs in grams.items():
            share = len(mine & theirs) / min(len(mine), len(theirs))
            if share > threshold:
                found.append((name, other, share))
    return found


def _trigrams(text: str) -> set[tuple[str, ...]]:
    words = normalise(text).split()
    return {tuple(words[i : i + 3]) for i in range(len(words) - 2)} or {tuple(words)}
