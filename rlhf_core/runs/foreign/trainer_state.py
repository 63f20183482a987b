"""`trainer_state.json` of the Hugging Face `Trainer` and what is built on it: bare NaN and Infinity, and no times."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rlhf_core.data.io import Problems, parse_json, read_content
from rlhf_core.errors import DataError, shorten
from rlhf_core.runs.foreign.series import Points, Series
from rlhf_core.runs.foreign.values import as_step, as_value, checked, is_number

FILE = "trainer_state.json"
EXPECTED = 'Expected {"global_step": …, "log_history": [{"step": …, "loss": …}, …]}'


def find_states(folder: Path) -> list[Path]:
    """Return the `trainer_state.json` in a folder and in its checkpoints, the one of the last step first."""
    found = [path for path in (folder / FILE, *folder.glob(f"checkpoint-*/{FILE}")) if path.is_file()]
    return sorted(found, key=lambda path: (path.parent != folder, -_number_of(path.parent)))


def read_trainer_state(path: Path) -> dict[str, Series]:
    """Return the one run of a `trainer_state.json`; of a folder with checkpoints the file of the last one holds all.

    Raises:
        DataError: not such a file, or a row of its history is not one; lists up to 20.
    """
    file = find_states(path)[0] if path.is_dir() else path
    history, problems, points = _history(file), Problems(file), Points()
    other: dict[str, None] = {}
    for number, row in enumerate(history):
        place = f"log_history[{number}]"
        if not isinstance(row, dict):
            problems.add(place, f"expected an object (found {shorten(row)})")
            continue
        try:
            step = checked("step", as_step, row.get("step"))
        except ValueError as error:
            problems.add(place, str(error))
            continue
        metrics = {name: as_value(value) for name, value in row.items() if name != "step" and is_number(value)}
        other |= dict.fromkeys(name for name in row if name != "step" and name not in metrics and row[name] is not None)
        points.add(step, None, metrics)
    problems.refuse(EXPECTED)
    if not points.columns:
        raise DataError("holds no history", where=file, remedy=EXPECTED)
    return {".": Series(points.frame(), tuple(f"{name}: no number" for name in other))}


def _history(file: Path) -> list[Any]:
    try:
        content = parse_json(read_content(file))  # Python's reader takes bare NaN and Infinity
    except json.JSONDecodeError as error:
        raise DataError(f"not JSON: {error.msg}", where=f"{file}:{error.lineno}", remedy=EXPECTED) from error
    except UnicodeDecodeError as error:
        raise DataError(f"byte {error.start + 1} is not UTF-8", where=file, remedy=EXPECTED) from error
    except ValueError as error:
        raise DataError(str(error), where=file, remedy=EXPECTED) from error
    history = content.get("log_history") if isinstance(content, dict) else None
    if not isinstance(history, list):
        raise DataError("log_history: expected a list", where=file, value=history, remedy=EXPECTED)
    return history


def _number_of(folder: Path) -> int:
    digits = folder.name.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else -1
