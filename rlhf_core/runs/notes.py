"""What people note about a run, kept beside it in `notes.md`."""

from __future__ import annotations

from pathlib import Path

from rlhf_core.data.io import write_text
from rlhf_core.errors import RunError

FILE = "notes.md"
MOST = 100_000  # letters


def read_notes(run: str | Path) -> str:
    """Return the notes of the run at `run`, Markdown; empty where there are none.

    Raises:
        RunError: the file is not text in UTF-8.
    """
    path = Path(run) / FILE
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise RunError("not text in UTF-8", where=path, remedy="Save it as UTF-8, or move it away") from error


def write_notes(run: str | Path, text: str, before: str) -> None:
    """Replace the notes `before` with `text`; the file goes when nothing is left.

    Raises:
        RunError: somebody has changed the notes since they were `before`, or there are too many.
    """
    path = Path(run) / FILE
    if read_notes(run) != before:
        raise RunError(
            "changed by somebody else meanwhile", where=path, remedy="Copy what you wrote and load the page again"
        )
    if len(text) > MOST:
        raise RunError(
            "too long", where=path, value=f"{len(text)} letters", remedy=f"At most {MOST}; keep the rest elsewhere"
        )
    if text.strip():
        write_text(path, text)
    else:
        path.unlink(missing_ok=True)
