"""Conversations of the playground, kept with their run so that an address brings them back: `<run>/playground/<name>.json`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from dashboard.services.exchange import Exchange, Turn
from rlhf_core.data.io import write_bytes
from rlhf_core.errors import RunError

FOLDER = "playground"
MOST = 100
"""So many conversations of a run are kept, those that were changed last."""
NAME = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True)
class Talk:
    """A conversation: its turns so far, and what was asked after them, None before that."""

    turns: tuple[Turn, ...] = ()
    exchange: Exchange | None = None


_TALK: TypeAdapter[Talk] = TypeAdapter(Talk)


def write_talk(run: Path, name: str, talk: Talk) -> None:
    """Keep a conversation under a name of twelve hexadecimal digits, in place of what was kept there.

    Raises:
        RunError: the run's folder cannot be written.
    """
    file = run / FOLDER / f"{name}.json"
    try:
        file.parent.mkdir(exist_ok=True)
        write_bytes(file, _TALK.dump_json(talk))
        kept = sorted(file.parent.glob("*.json"), key=lambda one: (one == file, one.stat().st_mtime_ns))
        for old in kept[:-MOST]:
            old.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(error.strerror or str(error), where=file.parent, remedy="Make the folder writable") from error


def read_talk(run: Path, name: str) -> Talk | None:
    """Return the conversation kept under a name, None where there is none.

    Raises:
        RunError: its file is damaged or cannot be read.
    """
    file = run / FOLDER / f"{name}.json"
    try:
        return _TALK.validate_json(file.read_bytes()) if NAME.fullmatch(name) else None
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise RunError("holds no conversation", where=file, remedy="Remove it, and ask again") from error
