"""Chatbot Arena's votes (Zheng et al. 2023, arXiv 2306.05685): two models' conversations and who won."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field

from rlhf_core.data.exchange.format import Dropped, ForeignRow, Format, Reading, Row
from rlhf_core.data.exchange.talk import asked, messages_of, turns_of
from rlhf_core.data.records import PairVote
from rlhf_core.errors import DataError

VERDICTS = {"model_a": "a", "model_b": "b", "tie": "tie", "tie (bothbad)": "both_bad", "both_bad": "both_bad"}
WINNERS = {"a": "model_a", "b": "model_b", "tie": "tie", "both_bad": "tie (bothbad)"}
NOBODY = ("gpt-", "gpt4", "simulated-")
"""What the names of judges begin with that are no people: models, and simulated labellers of ours."""
LAST_MOMENT = 253402300799.0
"""Seconds from 1970 to the end of the year 9999."""


class BattleRow(ForeignRow):
    """One battle."""

    model_a: str
    model_b: str
    winner: Literal["model_a", "model_b", "tie", "tie (bothbad)", "both_bad"]
    conversation_a: list[dict[str, Any]]
    conversation_b: list[dict[str, Any]]
    question_id: str | int = ""
    judge: str = "unknown"
    tstamp: float | None = Field(default=None, ge=0, le=LAST_MOMENT, allow_inf_nan=False)
    turn: int | None = Field(default=None, ge=1)
    language: str = ""


def _vote(row: BattleRow, reading: Reading) -> Iterator[PairVote]:
    if row.model_a == row.model_b:
        raise Dropped("both answers are of one model")
    judged = None if row.turn is None else 2 * row.turn  # later turns were written after the vote
    first, second = (turns_of(talk)[:judged] for talk in (row.conversation_a, row.conversation_b))
    if [text for role, text in first if role == "user"] != [text for role, text in second if role == "user"]:
        raise DataError("the two conversations ask different things")
    if first[:-1] != second[:-1]:
        raise Dropped("the conversations differ before their last answers")
    if any(not talk or talk[-1][0] != "assistant" for talk in (first, second)):
        raise DataError("expected two conversations that end with the assistant")
    about = asked(first[:-1], reading)
    answers = {
        "a": {"contender": row.model_a, "text": first[-1][1]},
        "b": {"contender": row.model_b, "text": second[-1][1]},
    }
    automatic = row.judge.startswith(NOBODY)
    known = row.judge == "unknown" or automatic
    rest = {
        "verdict": VERDICTS[row.winner],
        "labeller": row.judge if known else reading.pseudonym(row.judge),
        "automatic": automatic,
        "prompt_id": str(row.question_id),
        "category": row.language,
        "created_at": "" if row.tstamp is None else datetime.fromtimestamp(row.tstamp, UTC).isoformat(),
    }
    yield PairVote.model_validate(about | answers | rest)


def _row(vote: PairVote) -> Iterator[Row]:
    yield {
        "question_id": vote.prompt_id or vote.id,
        "model_a": vote.a.contender,
        "model_b": vote.b.contender,
        "winner": WINNERS[vote.verdict],
        "judge": vote.labeller,
        "conversation_a": messages_of(vote, vote.a.text),
        "conversation_b": messages_of(vote, vote.b.text),
        "turn": len(vote.conversation) // 2 + 1,
        "anony": True,
        "language": vote.category,
        "tstamp": _seconds(vote.created_at),
    }


def _seconds(moment: str) -> float | None:
    """Return an ISO time in seconds from 1970, None where it is none or before; without a zone it is UTC."""
    try:
        when = datetime.fromisoformat(moment)
        seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if seconds >= 0 else None


FORMATS = (
    Format(
        "arena",
        "Chatbot Arena's votes: `model_a`, `model_b`, `winner`, `conversation_a`, `conversation_b`",
        BattleRow,
        read={"votes": _vote},
        write={"votes": _row},
        cannot_hold="Ids, reasons, strengths and criteria are left out; a category goes into `language`, a vote's id into "
        "`question_id` where its prompt has none; a time comes back in UTC; judges become pseudonyms, but for models, whose "
        "names begin with `gpt`. Battles of several turns whose earlier answers differ are dropped.",
    ),
)
