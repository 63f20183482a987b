"""Dialogues with summaries, as DialogSum (Chen et al. 2021, arXiv 2105.06762) and SAMSum have them: JSONL, or CSV with a header.

{"id": "train_0", "dialogue": "#Person1#: Hi.\\n#Person2#: …", "summary": "…", "topic": "…"}; other fields are passed over.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlhf_core.data.io import iterate_jsonl
from rlhf_core.data.records import Demonstration, Prompt
from rlhf_core.data.splits import normalise
from rlhf_core.errors import DataError

INSTRUCTION = "Summarize the following conversation.\n\n{dialogue}\n\nSummary:"
"""How FLAN-T5 was asked in its own training mixture (Longpre et al. 2023, arXiv 2301.13688), or nearly so."""
SUMMARIES = ("summary", "summary1")


@dataclass(frozen=True)
class Dialogue:
    """One dialogue with its summary."""

    text: str
    summary: str

    @property
    def asked(self) -> str:
        """The prompt."""
        return INSTRUCTION.format(dialogue=self.text)

    @property
    def words(self) -> int:
        """Of the dialogue."""
        return len(self.text.split())


def read_dialogues(path: Path) -> list[Dialogue]:
    """Read the dialogues of a file.

    Raises:
        DataError: the file is missing or empty, or a row has no dialogue or no summary.
    """
    found = [_dialogue(row, f"{path}:{number}") for number, row in _rows(path)]
    if not found:
        raise DataError("holds no dialogues", where=path)
    return found


def build_dialogues(
    dialogues: Sequence[Dialogue], eval_prompts: int, max_words: int, seed: int
) -> tuple[list[Prompt], list[Demonstration]]:
    """Return (prompts, demonstrations): each dialogue once, those longer than `max_words` left out, some held out.

    Demonstrations are the summaries of those that are not held out.

    Raises:
        DataError: nothing would be left to train on.
    """
    unique = {normalise(one.text): one for one in dialogues if one.words <= max_words}
    kept = list(unique.values())
    if len(kept) <= eval_prompts:
        raise DataError(
            f"{len(kept)} different dialogues of up to {max_words} words leave nothing to train on beside "
            f"{eval_prompts} held out",
            remedy="Give more files, a higher --max-words or a lower --eval-prompts",
        )
    random.Random(seed).shuffle(kept)
    prompts, shown = [], []
    for number, one in enumerate(kept):
        held_out = number < eval_prompts
        name = f"dialogue-{number}"
        prompts.append(Prompt(id=name, prompt=one.asked, category="dialogue", split="eval" if held_out else "train"))
        if not held_out:
            shown.append(Demonstration(id=name, prompt=one.asked, category="dialogue", response=one.summary))
    return prompts, shown


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    if not path.is_file():
        raise DataError("no such file", where=path)
    if path.suffix != ".csv":
        yield from iterate_jsonl(path)
        return
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        for row in reader:
            yield reader.line_num, row


def _dialogue(row: dict[str, Any], where: str) -> Dialogue:
    summary = next((row[name] for name in SUMMARIES if row.get(name)), None)
    if not isinstance(text := row.get("dialogue"), str) or not isinstance(summary, str):
        known = ", ".join(map(str, row))
        raise DataError(
            f"has no dialogue with a summary; its fields: {known}", where=where, remedy="Expected DialogSum"
        )
    return Dialogue(text.replace("\r\n", "\n").strip(), summary.strip())
