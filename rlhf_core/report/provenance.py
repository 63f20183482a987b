"""What a report was made from: SHA-256 of the votes, the configuration, the answers and the weights, and the one date."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from rlhf_core.errors import ConfigError
from rlhf_core.models.shipped import packaged_model
from rlhf_core.report.typefaces import Typeset, typesets
from rlhf_core.runs.reader import RunReader

WEIGHTS = ("*.safetensors", "*.bin")
EPOCH = "SOURCE_DATE_EPOCH"


@dataclass(frozen=True)
class HashedFile:
    """A file of the run, by its path inside it, and what it held."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Source:
    """A model the run began with. `sha256` is that of the wheel it came in; empty for a model that is not packaged."""

    role: str
    model: str
    sha256: str


@dataclass(frozen=True)
class Provenance:
    """What the report was made from.

    Attributes:
        made: when the report was made, ISO 8601 in UTC: the only thing in a report that differs between two of the same inputs.
        vote_log: of the rows in `vote_rows`, see `votes_digest`; `votes` is their number.
        config: of `config.yaml`; empty when it is missing.
        answers: the files of completions; `weights` those of the models the run trained, empty where only its records are kept.
        sources: the models the run began with.
        typesets: what the PDF is set with: other typefaces make other bytes of it.
    """

    made: str
    vote_log: str
    votes: int
    config: str
    answers: tuple[HashedFile, ...]
    weights: tuple[HashedFile, ...]
    sources: tuple[Source, ...]
    typesets: tuple[Typeset, ...]

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """All of it as (what, where, SHA-256 or what is known), in the order in which it is shown."""
        config = [("Configuration", "config.yaml", self.config)] if self.config else []
        return [
            ("Vote log", f"{self.votes:,} rows", self.vote_log),
            *config,
            *(("Answers", file.path, file.sha256) for file in self.answers),
            *(("Weights", file.path, file.sha256) for file in self.weights),
            *((s.role, s.model, s.sha256 or "named by the configuration, not hashed") for s in self.sources),
            *(("PDF set with", t.package, t.sha256 or f"with its own {', '.join(t.typefaces)}") for t in self.typesets),
        ]


def find_provenance(reader: RunReader, vote_rows: Iterable[Mapping[str, Any]]) -> Provenance:
    """Hash what the report of a run rests on.

    Raises:
        ConfigError: SOURCE_DATE_EPOCH is no number of seconds.
    """
    rows, config = list(vote_rows), reader.path / "config.yaml"
    answers = [reader.path / "completions" / f"{name}.jsonl" for name in reader.contenders()]
    weights = [p for stage in ("sft", "reward", "ppo") for mask in WEIGHTS for p in _found(reader, stage, mask)]
    return Provenance(
        made=made_at(),
        vote_log=votes_digest(rows),
        votes=len(rows),
        config=_hashed(reader, config).sha256 if config.is_file() else "",
        answers=tuple(_hashed(reader, path) for path in answers),
        weights=tuple(_hashed(reader, path) for path in weights),
        sources=tuple(_sources(reader.config())),
        typesets=typesets(),
    )


def votes_digest(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the SHA-256 of votes in a form that does not depend on the order in which they were read.

    Each row as JSON in UTF-8 with sorted keys, no spaces and letters as they are; these lines sorted; a line feed after each.
    """
    lines = sorted(json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":")) for row in rows)
    return hashlib.sha256("".join(line + "\n" for line in lines).encode()).hexdigest()


def made_at() -> str:
    """Return the time as ISO 8601 in UTC: that of SOURCE_DATE_EPOCH where it is set, as reproducible builds do, else now.

    Raises:
        ConfigError: SOURCE_DATE_EPOCH is no whole number of seconds since 1970.
    """
    said = os.environ.get(EPOCH) or str(int(time.time()))
    try:
        return datetime.fromtimestamp(int(said), UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError) as error:
        raise ConfigError("not seconds since 1970", where=EPOCH, value=said, remedy="Give a whole number") from error


def _found(reader: RunReader, stage: str, mask: str) -> list[Path]:
    return sorted((reader.path / stage / "model").glob(mask))


def _hashed(reader: RunReader, path: Path) -> HashedFile:
    stat = path.stat()
    return HashedFile(
        path.relative_to(reader.path).as_posix(), stat.st_size, _digest(path, stat.st_mtime_ns, stat.st_size)
    )


@lru_cache(maxsize=256)
def _digest(path: Path, _changed: int, _size: int) -> str:
    """The SHA-256 of a file, computed again when it has changed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sources(config: Mapping[str, Any]) -> Iterable[Source]:
    for role, section in (("Policy began as", "policy"), ("Reward model began as", "reward")):
        named = (config.get(section) or {}).get("model")
        if named:
            packaged = packaged_model(str(named))
            yield Source(role, str(named), packaged.sha256 if packaged else "")
