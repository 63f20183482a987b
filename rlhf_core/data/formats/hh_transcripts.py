"""Transcripts as hh-rlhf writes them (Bai et al. 2022, arXiv 2204.05862): `chosen` and `rejected`, turns of Human and Assistant."""

from __future__ import annotations

from collections.abc import Iterator

from rlhf_core.data.exchange.format import Dropped, ForeignRow, Format, Reading
from rlhf_core.data.formats.hh_rlhf import SPEAKER, Pair, parse_pair
from rlhf_core.data.records import Preference
from rlhf_core.errors import DataError

SPEAKERS = {"user": "Human", "assistant": "Assistant"}


class TranscriptRow(ForeignRow):
    """Two whole transcripts."""

    chosen: str
    rejected: str


def _preference(row: TranscriptRow, reading: Reading) -> Iterator[Preference]:
    try:
        conversation, chosen, rejected = parse_pair(Pair(chosen=row.chosen, rejected=row.rejected))
    except DataError as error:
        raise Dropped(error.what) from error
    *history, last = conversation
    about = {"id": reading.id, "prompt": last.content, "history": history}
    yield Preference.model_validate(about | {"chosen": chosen, "rejected": rejected})


def _row(record: Preference) -> Iterator[dict[str, str]]:
    if any(SPEAKER.search(f"\n\n{text}") for text in _texts(record)):
        raise Dropped("a text has a line that begins as a turn does, Human: or Assistant:")
    talk = "".join(f"\n\n{SPEAKERS[turn.role]}: {turn.content}" for turn in record.conversation)
    yield {side: f"{talk}\n\nAssistant: {getattr(record, side)}" for side in ("chosen", "rejected")}


def _texts(record: Preference) -> list[str]:
    return [*(turn.content for turn in record.conversation), record.chosen, record.rejected]


FORMATS = (
    Format(
        "hh-rlhf",
        "Anthropic's hh-rlhf: two transcripts, `chosen` and `rejected`, in turns of Human and Assistant",
        TranscriptRow,
        read={"preferences": _preference},
        write={"preferences": _row},
        tells=lambda row: str(row["chosen"]).lstrip().startswith("Human:"),
        cannot_hold="Ids, categories, weights and where a judgement comes from are left out; white space around a turn is lost on "
        "reading it back.",
    ),
)
