"""Where the files of a dataset lie: here, or as copies of what an address in Cloud Storage names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rlhf_core.errors import DataError

CLOUD = "gs://"
PATTERN = "*?["


def find_files(place: str, folder: Path) -> list[Path]:
    """Return the files that a dataset's path, pattern or `gs://` address means, in the order of their names.

    Paths start from `folder`. Of an address, a copy is looked for there under as much of the address as there is: for
    `gs://bucket/text/train/*.jsonl` the pattern `bucket/text/train/*.jsonl`, then `text/train/*.jsonl`, `train/*.jsonl`. A
    pattern alone, `*.jsonl`, would take the files of other datasets too.

    Raises:
        DataError: nothing is there.
    """
    tried = list(_patterns(place))
    for pattern in tried:
        if found := _matching(folder, pattern):
            return found
    if place.startswith(CLOUD):
        target = folder / Path(tried[0] if tried else "").parent
        remedy = f"Fetch a copy: gcloud storage cp '{place}' {target}/"
        raise DataError("lies in Cloud Storage, and no copy here", where=place, remedy=remedy)
    raise DataError("no such file", where=folder / place, remedy="Paths start from the folder of the parameters")


def _patterns(place: str) -> Iterator[str]:
    if not place.startswith(CLOUD):
        yield place
        return
    parts = [part for part in place.removeprefix(CLOUD).split("/") if part not in ("", ".", "..")]
    fewest = 2 if _is_pattern(place) else 1
    for start in range(len(parts) - fewest + 1):
        yield "/".join(parts[start:])


def _matching(folder: Path, pattern: str) -> list[Path]:
    path = Path(pattern).expanduser()
    if not _is_pattern(pattern):
        return [folder / path] if (folder / path).is_file() else []
    root = Path(path.anchor) if path.is_absolute() else folder
    return sorted(found for found in root.glob(str(path.relative_to(path.anchor))) if found.is_file())


def _is_pattern(text: str) -> bool:
    return any(sign in text for sign in PATTERN)
