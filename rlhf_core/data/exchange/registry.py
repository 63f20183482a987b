"""Every format by name, and which of them a row is written in."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from rlhf_core.data.exchange.format import KINDS, Format, Row
from rlhf_core.data.formats import (
    alpaca_eval,
    arena,
    gcpc,
    hh_transcripts,
    instructions,
    llm_comparator,
    oasst,
    pandalm,
    summarize,
    trl,
    xstest,
)
from rlhf_core.errors import DataError

OWN = tuple(
    Format(
        f"studio-{kind}",
        f"this project's own {kind}",
        record,
        read={kind: lambda row, _: [row]},
        write={kind: lambda row: [row.model_dump(mode="json")]},
    )
    for kind, record in KINDS.items()
)
HOMES = (trl, gcpc, hh_transcripts, summarize, oasst, instructions, arena, alpaca_eval, llm_comparator, pandalm, xstest)
FORMATS: dict[str, Format] = {f.name: f for f in (*OWN, *(f for home in HOMES for f in home.FORMATS))}
AUTO = "auto"


def named(name: str) -> list[Format]:
    """Return the formats a name stands for: one, all shapes of a family (`trl`), or all (`auto`).

    Raises:
        DataError: there is none of that name.
    """
    found = [f for f in FORMATS.values() if name in (f.name, AUTO) or f.name.startswith(f"{name}-")]
    if not found:
        close = get_close_matches(name, FORMATS, 3)
        meant = f"Did you mean {' or '.join(close)}? " if close else ""
        raise DataError("no such format", value=name, remedy=f"{meant}`rlhf data formats` lists them")
    return found


def detect(value: Any, among: list[Format], kind: str, where: str) -> Format:
    """Return the format of a row: of those whose fields it has, the one that asks for the most.

    Raises:
        DataError: no format fits, the one that does has none of what is asked for, or several fit equally well.
    """
    if not isinstance(value, dict):
        raise DataError(f"expected a JSON object, found {type(value).__name__}", where=where)
    fitting = [f for f in among if f.required <= value.keys() and _holds(f, value)]
    if not fitting:
        fields = ", ".join(sorted(value)[:20]) or "none"
        known = ", ".join(f.name for f in among)
        raise DataError(
            f"no known format has the fields of this row: {fields}", where=where, remedy=f"Looked for {known}"
        )
    able = [f for f in fitting if f.reads(kind)]
    if not able:
        holds = sorted({k for f in fitting for k in KINDS if f.reads(k)})
        remedy = f"Import it as {' or '.join(holds)}" if holds else None
        raise DataError(f"{fitting[0].name} holds no {kind}", where=where, remedy=remedy)
    most = max(map(_asks_for, able))
    best = [f for f in able if _asks_for(f) == most]
    if len(best) > 1:
        names = " and ".join(f.name for f in best)
        raise DataError(f"reads as {names}", where=where, remedy="Name one with --format")
    return best[0]


def _asks_for(form: Format) -> tuple[int, bool]:
    return len(form.required), form.tells is not None


def _holds(form: Format, value: Row) -> bool:
    """Say whether the fields of a row are of the kinds that the format asks for; what they say may still be wrong."""
    if form.tells and not form.tells(value):
        return False
    try:
        form.row.model_validate(value)
    except ValidationError as error:
        return not any(_of_another_kind(problem, form) for problem in error.errors())
    return True


def _of_another_kind(problem: Any, form: Format) -> bool:
    if problem["type"] == "extra_forbidden":
        return True
    return problem["type"] != "value_error" and bool(problem["loc"]) and problem["loc"][0] in form.required
