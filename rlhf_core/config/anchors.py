"""Relative paths of a configuration file, made absolute from the folder the file lies in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

Keys = Sequence[tuple[str, ...]]


def anchor_paths(raw: dict[str, Any], folder: Path, paths: Keys, models: Keys) -> None:
    """Anchor the values of `raw` at dotted places, in place: all of `paths`, and `models` where a folder lies there.

    `*` in a place is every entry of a list or mapping; a value that is a list is anchored entry by entry.
    """
    for keys in (*paths, *models):
        is_path = keys in paths
        for section in _sections_at(raw, keys[:-1]):
            for key in list(section) if keys[-1] == "*" else [keys[-1]]:
                if (value := section.get(key)) is not None:
                    section[key] = _each_anchored(value, folder, is_path)


def _each_anchored(value: Any, folder: Path, is_path: bool) -> Any:
    if isinstance(value, list):
        return [_each_anchored(one, folder, is_path) for one in value]
    return _anchored(value, folder, is_path) if isinstance(value, str) else value


def _sections_at(raw: Any, keys: tuple[str, ...]) -> list[dict[str, Any]]:
    if not keys:
        return [raw] if isinstance(raw, dict) else []
    below: list[Any] = []
    if keys[0] == "*" and isinstance(raw, list):
        below = raw
    elif isinstance(raw, dict):
        below = [raw.get(keys[0])]
    return [section for part in below for section in _sections_at(part, keys[1:])]


def _anchored(value: str, folder: Path, is_path: bool) -> str:
    """A path as an absolute one; a model's name as it is, unless a folder lies there."""
    path = (folder / Path(value).expanduser()).resolve()
    return str(path) if is_path or value.startswith(".") or (path.is_dir() and value != "tiny") else value
