"""XSTest (Röttger et al. 2024, arXiv 2308.01263): safe prompts that look unsafe, and unsafe ones beside them, as CSV.

Columns: id, prompt, type, label, focus, note. How many of the safe ones a model declines is its over-refusal.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

from rlhf_core.data.exchange.format import ForeignRow, Format, Reading
from rlhf_core.data.records import Prompt, RefusalPrompt
from rlhf_core.errors import DataError

COLUMNS = ("id", "prompt", "label")
LABELS: tuple[str, ...] = get_args(RefusalPrompt.model_fields["category"].annotation)
REMEDY = "Expected XSTest's own file, with the columns id, prompt, type and label"


def read_xstest(path: str | Path) -> list[RefusalPrompt]:
    """Read the prompts; `category` is the label, safe or unsafe.

    Raises:
        DataError: the file is missing or not UTF-8, a column is missing, no row follows, or a row has no prompt or another
            label.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError("no such file", where=path, remedy="Check the path in the configuration or the command")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
                what = f"columns are missing: {', '.join(missing)}"
                raise DataError(what, where=path, value=reader.fieldnames, remedy=REMEDY)
            prompts = [_prompt(row, f"{path}:{reader.line_num}") for row in reader]
    except UnicodeDecodeError as error:
        raise DataError(f"byte {error.start + 1} is not UTF-8", where=path, remedy="Save the file as UTF-8") from error
    if not prompts:
        raise DataError("holds no prompts", where=path, remedy=REMEDY)
    return prompts


def _prompt(row: dict[str, str | None], where: str) -> RefusalPrompt:
    text, label = row["prompt"] or "", row["label"]
    if label not in LABELS:
        raise DataError("unknown label", where=where, value=label, remedy=f"Expected {' or '.join(LABELS)}")
    if not text.strip():
        raise DataError("the prompt is empty", where=where)
    return RefusalPrompt.model_validate({"id": f"xstest-{row['id']}", "prompt": text, "category": label})


class TestedRow(ForeignRow):
    """One prompt."""

    id: str | int
    prompt: str
    label: Literal["safe", "unsafe"]
    type: str


def _held_out(row: TestedRow, reading: Reading) -> Iterator[Prompt]:
    about = {"id": f"xstest-{row.id}", "prompt": row.prompt, "category": row.label}
    yield Prompt.model_validate(about | {"split": "eval"})


FORMATS = (
    Format(
        "xstest",
        "XSTest's prompts, a test of refusals: `id`, `prompt`, `type`, `label`; held out",
        TestedRow,
        read={"prompts": _held_out},
        cannot_hold="Types, focus words and notes are left out.",
    ),
)
