"""Contenders that were added to a run, or written for a task: their completions file and, beside it, where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlhf_core.data.io import write_json

SUFFIX = ".source.json"


@dataclass(frozen=True)
class Place:
    """Where one contender's answers stand: `folder/NAME.jsonl`, and `folder/NAME.source.json` says where they come from."""

    folder: Path
    name: str

    @property
    def answers(self) -> Path:
        """The completions file."""
        return self.folder / f"{self.name}.jsonl"

    @property
    def source(self) -> Path:
        """The file that says where they come from."""
        return self.answers.with_suffix(SUFFIX)

    def came_from(self, **source: Any) -> None:
        """Write where the answers come from."""
        write_json(self.source, source)


def is_added(answers: Path) -> bool:
    """Say whether a completions file, or what is there of one so far, is of a contender that was added."""
    return answers.with_suffix(SUFFIX).is_file()


def added_files(run: Path) -> list[Path]:
    """Return the completions files of the contenders that were added to a run, by name."""
    return [file for file in sorted((run / "completions").glob("*.jsonl")) if is_added(file)]
