"""Turn blocks of rows into lines of records: pure work that several processes share."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from rlhf_core.data.exchange.format import Dropped, Format, Reader, Reading
from rlhf_core.data.exchange.registry import FORMATS
from rlhf_core.data.exchange.source import Block, is_blank
from rlhf_core.data.exchange.workers import in_processes
from rlhf_core.data.io import explain, parse_row
from rlhf_core.data.records import Prompt
from rlhf_core.errors import DataError


@dataclass(frozen=True)
class Job:
    """What is done with every row: the format it is read in, the kind it becomes, the key of pseudonyms."""

    format: str
    kind: str
    salt: bytes

    @property
    def tools(self) -> tuple[Format, Reader]:
        """The format and what reads it."""
        form = FORMATS[self.format]
        if (reader := form.reads(self.kind)) is None:
            raise DataError(f"{self.format} holds no {self.kind}")
        return form, reader


@dataclass
class Converted:
    """What became of rows: records as `lines` of JSON, what is wrong (line, problems), and what was dropped or changed.

    `keys` tell prompts that are the same; other records have none.
    """

    read: int = 0
    lines: list[str] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    problems: list[tuple[int, list[str]]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)


def convert_all(blocks: Iterable[Block], job: Job, processes: int) -> Iterator[tuple[Block, Converted]]:
    """Yield every block with what became of it, in order; several processes work on one block each.

    Raises:
        LostProcess: one of several processes was killed.
    """
    work = partial(convert, job=job)
    if processes == 1:
        yield from ((block, work(block)) for block in blocks)
    else:
        yield from in_processes(work, blocks, processes)


def convert(block: Block, job: Job) -> Converted:
    """Return what becomes of a block's rows; a row with a problem becomes nothing."""
    done = Converted()
    form, reader = job.tools
    for number, raw in zip(block.numbers, block.rows, strict=True):
        if is_blank(raw):
            continue
        done.read += 1
        reading = Reading(f"{form.name}-{number:06d}", job.salt)
        try:
            records = list(reader(_checked(raw, form), reading))
            lines = [record.model_dump_json(exclude_none=True) + "\n" for record in records]
            keys = [digest(record) for record in records if isinstance(record, Prompt)]
        except Dropped as reason:
            done.dropped[str(reason)] += 1
        except (DataError, ValidationError) as error:
            done.problems.append((number, explain(error)))
        except (UnicodeEncodeError, PydanticSerializationError):
            done.problems.append((number, ["holds half of a surrogate pair, which is no text"]))
        else:
            done.lines += lines
            done.keys += keys
            if reading.notes or reading.dropped:
                done.notes += reading.notes
                done.dropped += reading.dropped
    return done


def digest(prompt: Prompt) -> bytes:
    """Return 8 bytes that are the same for prompts that ask the same."""
    return blake2b(prompt.transcript.encode(), digest_size=8).digest()


def _checked(raw: Any, form: Format) -> Any:
    if not isinstance(raw, bytes):
        return form.row.model_validate(raw)
    try:
        return form.row.model_validate_json(raw)
    except ValidationError:
        return form.row.model_validate(parse_row(raw))  # what is no JSON is told in the words used everywhere


def as_line(raw: Any) -> bytes:
    """Return a row as it was found, as one line."""
    if isinstance(raw, bytes):
        return raw + b"\n"
    return json.dumps(raw, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace") + b"\n"
