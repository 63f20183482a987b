"""The data of a pipeline: read, checked against each other, split."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rlhf_core.config import DataConfig
from rlhf_core.data.io import read_jsonl
from rlhf_core.data.records import Demonstration, Prompt, Ranking
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


def load_datasets(config: DataConfig) -> Datasets:
    """Read the three files and refuse repeated ids and held-out prompts that appear in training data.

    Raises:
        DataError: a file is malformed, or the files contradict each other.
    """
    prompts = read_jsonl(config.prompts, Prompt)
    demonstrations = read_jsonl(config.demonstrations, Demonstration)
    rankings = read_jsonl(config.rankings, Ranking)
    for path, rows in ((config.prompts, prompts), (config.demonstrations, demonstrations), (config.rankings, rankings)):
        _refuse_repeated_ids(path, [row.id for row in rows])
    held_out = {p.id: p.transcript for p in prompts if p.split == "eval"}
    train_rows = [p for p in prompts if p.split == "train"]
    for path, rows in (
        (config.prompts, train_rows),
        (config.demonstrations, demonstrations),
        (config.rankings, rankings),
    ):
        refuse_overlap({row.id: row.transcript for row in rows}, held_out, where=str(path))
    if not held_out or not train_rows:
        raise DataError('needs prompts with "split": "train" and others with "split": "eval"', where=config.prompts)
    return Datasets(
        train_prompts=_spread(train_rows, config.limit),
        eval_prompts=_spread([p for p in prompts if p.split == "eval"], config.limit),
        demonstrations=_spread(demonstrations, config.limit),
        rankings=_spread(rankings, config.limit),
    )


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


def _refuse_repeated_ids(path: Path, ids: list[str]) -> None:
    repeated = sorted(name for name, count in Counter(ids).items() if count > 1)
    if repeated:
        raise DataError(f"ids repeat: {', '.join(repeated[:20])}", where=path, remedy="Give every row an id of its own")
