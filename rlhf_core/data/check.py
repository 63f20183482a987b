"""Check data files: which kind each is, how many rows, what stands out, and whether they contradict each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rlhf_core.data.io import first_object, read_jsonl
from rlhf_core.data.records import Demonstration, Preference, Prompt, Ranking, Record
from rlhf_core.data.splits import near_duplicates, refuse_overlap
from rlhf_core.errors import DataError

KINDS: dict[str, type[Record]] = {
    "completions": Ranking,
    "chosen": Preference,
    "response": Demonstration,
    "prompt": Prompt,
}


def check_files(paths: Sequence[Path]) -> list[str]:
    """Read every file and return what to say about each, a line a file; then check held-out prompts across all.

    Raises:
        DataError: a file is malformed, or a held-out prompt is also a training prompt.
    """
    files: dict[Path, list[Any]] = {path: read_jsonl(path, kind_of(path)) for path in paths}
    lines = [f"{path}: {_describe(rows)}" for path, rows in files.items()]
    held_out = {
        r.id: r.transcript for rows in files.values() for r in rows if isinstance(r, Prompt) and r.split == "eval"
    }
    for path, rows in files.items():
        train = {r.id: r.transcript for r in rows if not (isinstance(r, Prompt) and r.split == "eval")}
        refuse_overlap(train, held_out, where=str(path))
        close = near_duplicates(held_out, train)
        lines += [
            f"{path}: {mine} nearly repeats held-out {theirs} ({share:.0%} of its word triples)"
            for theirs, mine, share in close
        ]
    return lines


def kind_of(path: Path) -> type[Record]:
    """Tell from the first row's fields which record a file holds.

    Raises:
        DataError: the first row is not an object, or has the fields of no record.
    """
    number, row = first_object(path)
    for field, kind in KINDS.items():
        if field in row:
            return kind
    raise DataError(
        "neither a prompt, a demonstration, a preference nor a ranking",
        where=f"{path}:{number}",
        value=row,
        remedy="Expected prompt; prompt and response; prompt, chosen and rejected; or prompt, completions and ranking",
    )


def longer_wins(rankings: Sequence[Ranking], length: Callable[[str], int] = len) -> float | None:
    """Return the share of untied pairs in which people chose the longer text, or None when no pair tells.

    Pairs of equal length are left out. Near 0.5, length does not give the answer away.
    """
    pairs = [(length(c), length(r)) for ranking in rankings for c, r in ranking.pairs()]
    decided = [chosen > rejected for chosen, rejected in pairs if chosen != rejected]
    return sum(decided) / len(decided) if decided else None


def _describe(rows: Sequence[Any]) -> str:
    kind = type(rows[0]).__name__.lower()
    categories = Counter(row.category or "none" for row in rows)
    parts = [
        f"{len(rows)} {kind}s",
        "categories " + ", ".join(f"{name} {n}" for name, n in sorted(categories.items())),
    ]
    if turns := sum(bool(row.history) for row in rows):
        parts.append(f"{turns} go on a conversation")
    if isinstance(rows[0], Prompt):
        splits = Counter(row.split for row in rows)
        parts.append(f"train {splits['train']}, eval {splits['eval']}")
    if isinstance(rows[0], Ranking):
        pairs = sum(len(row.pairs()) for row in rows)
        share = longer_wins(rows)
        longer = "no pair differs in length" if share is None else f"the longer text is chosen in {share:.0%}"
        parts.append(f"{pairs} pairs, {longer}")
    return "; ".join(parts)
