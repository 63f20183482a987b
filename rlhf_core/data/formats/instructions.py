"""Instruction data: Alpaca's, ShareGPT's conversations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rlhf_core.data.exchange.format import Dropped, ForeignRow, Format, Reading, Row
from rlhf_core.data.exchange.talk import asked, turns_of, with_reply
from rlhf_core.data.records import Demonstration, transcript

ALPACA = "Ids and categories are left out; a conversation becomes one text."
SPEAKERS = {"user": "human", "assistant": "gpt"}


class AlpacaRow(ForeignRow):
    """An instruction, what it is about, and the answer."""

    instruction: str
    output: str
    input: str = ""


class ShareGptRow(ForeignRow):
    """A conversation; the system prompt may stand beside it."""

    conversations: list[dict[str, Any]]
    system: str = ""


def _alpaca(row: AlpacaRow, reading: Reading) -> Iterator[Demonstration]:
    if not row.output.strip():
        raise Dropped("the output is empty")
    prompt = f"{row.instruction}\n\n{row.input}" if row.input.strip() else row.instruction
    yield Demonstration.model_validate(asked([("user", prompt)], reading) | {"response": row.output})


def _sharegpt(row: ShareGptRow, reading: Reading) -> Iterator[Demonstration]:
    turns = turns_of(row.conversations, role="from", content="value")
    system = [("system", row.system)] if row.system else []
    about, reply = with_reply(system + turns, reading)
    yield Demonstration.model_validate(about | {"response": reply})


def _alpaca_row(record: Demonstration) -> Iterator[Row]:
    yield {"instruction": transcript(record.conversation), "input": "", "output": record.response}


def _sharegpt_row(record: Demonstration) -> Iterator[Row]:
    turns = [{"from": SPEAKERS[turn.role], "value": turn.content} for turn in record.conversation]
    yield {"conversations": [*turns, {"from": "gpt", "value": record.response}]}


FORMATS = (
    Format(
        "alpaca",
        "Alpaca's `instruction`, `input`, `output`",
        AlpacaRow,
        read={"demonstrations": _alpaca},
        write={"demonstrations": _alpaca_row},
        cannot_hold=ALPACA,
    ),
    Format(
        "sharegpt",
        "ShareGPT's `conversations` of `from` and `value`",
        ShareGptRow,
        read={"demonstrations": _sharegpt},
        write={"demonstrations": _sharegpt_row},
        cannot_hold="Ids and categories are left out.",
    ),
)
