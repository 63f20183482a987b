"""The data of a pipeline: read, checked against each other, split."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from rlhf_core.config import DataConfig
from rlhf_core.data.check import kind_of
from rlhf_core.data.formats.xstest import read_xstest
from rlhf_core.data.io import read_jsonl
from rlhf_core.data.records import Asked, Demonstration, Preference, Prompt, Ranking, RefusalPrompt
from rlhf_core.data.splits import refuse_overlap
from rlhf_core.errors import DataError

T = TypeVar("T")


@dataclass(frozen=True)
class Datasets:
    """All rows a pipeline learns from, and the held-out prompts it is judged on."""

    train_prompts: list[Prompt]
    eval_prompts: list[Prompt]
    demonstrations: list[Demonstration]
    rankings: list[Ranking]
    refusal_prompts: list[RefusalPrompt] = field(default_factory=list)
    """Prompts of a test of refusals; none where the configuration names no such file."""


def load_datasets(config: DataConfig) -> Datasets:
    """Read the files and refuse repeated ids and held-out prompts that appear in training data.

    Raises:
        DataError: a file is malformed, or the files contradict each other.
    """
    prompts = read_jsonl(config.prompts, Prompt)
    demonstrations = read_jsonl(config.demonstrations, Demonstration)
    rankings = read_rankings(config.rankings)
    tested = read_refusal_prompts(config.refusal_prompts) if config.refusal_prompts else []
    for path, rows in ((config.prompts, prompts), (config.demonstrations, demonstrations), (config.rankings, rankings)):
        _refuse_repeated_ids(path, [row.id for row in rows])
    if config.refusal_prompts:
        _refuse_repeated_ids(config.refusal_prompts, [row.id for row in tested])
    held_out = [p for p in prompts if p.split == "eval"]
    train_rows = [p for p in prompts if p.split == "train"]
    for path, rows in (
        (config.prompts, train_rows),
        (config.demonstrations, demonstrations),
        (config.rankings, rankings),
    ):
        for judged in (held_out, tested):
            refuse_overlap(_transcripts(rows), _transcripts(judged), where=str(path))
    if not held_out or not train_rows:
        raise DataError('needs prompts with "split": "train" and others with "split": "eval"', where=config.prompts)
    return Datasets(
        train_prompts=_spread(train_rows, config.limit),
        eval_prompts=_spread(held_out, config.limit),
        demonstrations=_spread(demonstrations, config.limit),
        rankings=_spread(rankings, config.limit),
        refusal_prompts=_spread(tested, config.limit),
    )


def read_rankings(path: Path) -> list[Ranking]:
    """Read ranked completions, or preferences as rankings of two.

    Raises:
        DataError: the file is missing, malformed, or holds neither.
    """
    if kind_of(path) is Preference:
        return [row.as_ranking() for row in read_jsonl(path, Preference)]
    return read_jsonl(path, Ranking)


def read_refusal_prompts(path: Path) -> list[RefusalPrompt]:
    """Read the prompts of a test of refusals: XSTest's own `.csv`, or a `.jsonl` of prompts of category safe or unsafe.

    Raises:
        DataError: the file is neither, or malformed.
    """
    if path.suffix == ".csv":
        return read_xstest(path)
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        return read_jsonl(path, RefusalPrompt)
    remedy = "Expected XSTest's own .csv, or a .jsonl of prompts whose category is safe or unsafe"
    raise DataError("neither CSV nor JSONL", where=path, value=path.suffix, remedy=remedy)


def content_hash(*paths: Path) -> str:
    """Return a hash of the contents of files, by which a stage knows its inputs again."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]


def _spread(rows: Sequence[T], limit: int | None) -> list[T]:
    """Take `limit` rows spread evenly over the file, so that every category is present."""
    if limit is None or limit >= len(rows):
        return list(rows)
    return [rows[n * len(rows) // limit] for n in range(limit)]


def _transcripts(rows: Sequence[Asked]) -> dict[str, str]:
    return {row.id: row.transcript for row in rows}


def _refuse_repeated_ids(path: Path, ids: list[str]) -> None:
    repeated = sorted(name for name, count in Counter(ids).items() if count > 1)
    if repeated:
        raise DataError(f"ids repeat: {', '.join(repeated[:20])}", where=path, remedy="Give every row an id of its own")
