"""Records that a run directory keeps as JSON, read back whole or not at all."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from rlhf_core.errors import RunError

T = TypeVar("T")


def parse_record(kind: type[T], content: dict[str, Any], where: Path, remedy: str) -> T:
    """Return the dataclass `kind` that a file's content holds; what it does not know is left out.

    Raises:
        RunError: a field is missing.
    """
    names = [field.name for field in fields(kind)]  # pyright: ignore[reportArgumentType]
    if missing := [name for name in names if name not in content]:
        raise RunError(f"lacks {', '.join(missing)}", where=where, value=content, remedy=remedy)
    return kind(**{name: content[name] for name in names})
