"""What endpoints have answered, on disk: an interrupted command goes on without asking anything twice."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rlhf_core.data.io import append_jsonl, parse_json
from rlhf_core.data.records import Record
from rlhf_core.models.packaged import cache_folder


class Reply(Record):
    """One answer. `finish` is why it ended, as the endpoint calls it; `model` which model it says it was."""

    text: str
    finish: str | None = None
    tokens: int | None = None
    model: str | None = None

    @property
    def cut(self) -> bool:
        """Whether a limit or a filter ended the answer, not the model."""
        return self.finish in ("length", "content_filter")


class Kept(Reply):
    """A line of the cache: a reply and the request it answers."""

    key: str


def request_key(url: str, body: dict[str, Any]) -> str:
    """Return the SHA-256 of what is asked of whom: address, model, messages and parameters."""
    text = json.dumps([url, body], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


class ReplyCache:
    """The replies of one model at one endpoint, in a file of JSON lines under `folder` (`$RLHF_CACHE/answers`).

    Several processes may append; a damaged line costs one more request.
    """

    def __init__(self, url: str, model: str, folder: Path | None = None) -> None:
        name = hashlib.sha256(f"{url}|{model}".encode()).hexdigest()[:16]
        self.path = (folder or cache_folder() / "answers") / f"{name}.jsonl"
        self._known = dict(_read(self.path)) if self.path.is_file() else {}

    def find(self, key: str) -> Reply | None:
        """Return what was answered to a request, None where it was not asked yet."""
        return self._known.get(key)

    def keep(self, key: str, reply: Reply) -> None:
        """Add a reply."""
        self._known[key] = reply
        append_jsonl(self.path, Kept(key=key, **reply.model_dump()))


def _read(path: Path) -> list[tuple[str, Reply]]:
    found = []
    for line in path.read_bytes().split(b"\n"):
        try:
            row = Kept.model_validate(parse_json(line))
        except (ValueError, ValidationError):
            continue
        found.append((row.key, Reply(**row.model_dump(exclude={"key"}))))
    return found
