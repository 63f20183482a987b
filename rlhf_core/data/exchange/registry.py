"""Every format by name, and which of them a row is written in."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from rlhf_core.data.exchange.format import KINDS, Format, Row
from rlhf_core.data.formats import (
    alpaca_eval,
    arena,
    autosxs,
    dialogues,
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
from rlhf_core.data.io import explain
from rlhf_core.errors import DataError

OWN = tuple(
    Format(
        f"studio-{kind}",
        f"this project's own {kind}",
        record,
        read={kind: lambda row, _: [row]},
        write={kind: lambda row: [row.model_dump(mode="json", exclude_none=True)]},
    )
    for kind, record in KINDS.items()
)
HOMES = (
    trl, gcpc, autosxs, hh_transcripts, summarize, oasst, instructions, dialogues, arena, alpaca_eval, llm_comparator, pandalm,
    xstest,
)  # fmt: skip
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
    fitting = [f for f in among if f.required <= value.keys() and (f.tells is None or f.tells(value))]
    if not fitting:
        raise _unknown(value, among, where)
    holding = [f for f in fitting if _of_its_kinds(f, value)]
    if not holding:
        raise _misshapen(value, max(fitting, key=_asks_for), where)
    if not (able := [f for f in holding if f.reads(kind)]):
        raise _unable(max(holding, key=_asks_for), kind, where)
    most = max(map(_asks_for, able))
    best = [f for f in able if _asks_for(f) == most]
    if len(best) > 1:
        names = " and ".join(f.name for f in best)
        raise DataError(f"reads as {names}", where=where, remedy="Name one with --format")
    return best[0]


def _unknown(value: Row, among: list[Format], where: str) -> DataError:
    fields = ", ".join(f"{field:.40}" for field in sorted(value)[:20]) or "none"
    if len(among) == 1:
        lacking = ", ".join(sorted(among[0].required - value.keys())) or "the shape it asks for"
        return DataError(f"{among[0].name} has {lacking}; this row has: {fields}", where=where)
    known = ", ".join(f.name for f in among)
    return DataError(f"no known format has the fields of this row: {fields}", where=where, remedy=f"Looked for {known}")


def _misshapen(value: Row, form: Format, where: str) -> DataError:
    try:
        form.row.model_validate(value)
    except ValidationError as error:
        return DataError(f"{explain(error)[0]}; its fields are those of {form.name}", where=where)
    raise AssertionError(f"{form.name} fits")


def _unable(form: Format, kind: str, where: str) -> DataError:
    holds = [k for k in KINDS if form.reads(k)]
    remedy = f"Import it as {' or '.join(holds)}" if holds else form.instead
    return DataError(f"{form.name} holds no {kind}", where=where, remedy=remedy)


def _asks_for(form: Format) -> tuple[int, bool]:
    return len(form.required), form.tells is not None


def _of_its_kinds(form: Format, value: Row) -> bool:
    """Say whether the fields of a row are of the kinds that the format asks for; what they say may still be wrong."""
    try:
        form.row.model_validate(value)
    except ValidationError as error:
        return not any(_of_another_kind(problem, form) for problem in error.errors())
    return True


def _of_another_kind(problem: Any, form: Format) -> bool:
    if problem["type"] == "extra_forbidden":
        return True
    if problem["type"] == "literal_error":
        return isinstance(problem["input"], bool | list | dict) or problem["input"] is None
    wrong = problem["type"] == "missing" or problem["type"].endswith(("_type", "_parsing"))
    return wrong and bool(problem["loc"]) and problem["loc"][0] in form.required
