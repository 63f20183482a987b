"""Relative paths of a configuration file, made absolute from the folder the file lies in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

Keys = Sequence[tuple[str, ...]]


def anchor_paths(raw: dict[str, Any], folder: Path, paths: Keys, models: Keys) -> None:
    """Anchor the values of `raw` at dotted places, in place: all of `paths`, and `models` where a folder lies there.

    `*` in a place is every entry of a list; a value that is a list is anchored entry by entry.
    """
    for keys in (*paths, *models):
        for section in _sections_at(raw, keys[:-1]):
            value, is_path = section.get(keys[-1]), keys in paths
            if isinstance(value, str):
                section[keys[-1]] = _anchored(value, folder, is_path)
            elif isinstance(value, list):
                section[keys[-1]] = [_anchored(v, folder, is_path) if isinstance(v, str) else v for v in value]


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
