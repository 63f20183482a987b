"""AutoSxS's judgements (Google Cloud's automatic side-by-side evaluation): two models' responses and which one a model chose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from pydantic import field_validator

from rlhf_core.data.exchange.format import TIED, Dropped, ForeignRow, Format, Reading, Row
from rlhf_core.data.exchange.sides import by_name, two_contenders
from rlhf_core.data.exchange.talk import asked
from rlhf_core.data.records import PairVote

AUTORATER = "autorater"
CHOICES = {
    **dict.fromkeys(("a", "model a"), "a"),
    **dict.fromkeys(("b", "model b"), "b"),
    **dict.fromkeys(("tie", "same"), "tie"),
    "error": None,
}
"""What AutoSxS writes, in small letters → a verdict."""


class JudgementRow(ForeignRow):
    """One line of AutoSxS's judgements; `choice` is A or B, or an error where the model gave none."""

    response_a: str
    response_b: str
    choice: str
    confidence: float | None = None
    explanation: str = ""
    inference_instruction: str | None = None
    inference_context: str | None = None
    input_text: str | None = None
    prompt: str | None = None

    @field_validator("choice")
    @classmethod
    def _known(cls, choice: str) -> str:
        if choice.strip().lower() not in CHOICES:
            raise ValueError(f"expected A or B, found {choice!r:.40}")
        return choice


def _judgement(row: JudgementRow, reading: Reading) -> Iterator[PairVote]:
    parts = [row.inference_instruction or row.input_text or row.prompt, row.inference_context]
    prompt = "\n\n".join(part for part in parts if part and part.strip())
    if not prompt:
        raise Dropped("no field names the prompt (inference_instruction, inference_context, input_text or prompt)")
    if (verdict := CHOICES[row.choice.strip().lower()]) is None:
        raise Dropped("the judging model gave no choice")
    answers = {"a": {"contender": "a", "text": row.response_a}, "b": {"contender": "b", "text": row.response_b}}
    about = {"verdict": verdict, "labeller": AUTORATER, "automatic": True, "reason": row.explanation}
    yield PairVote.model_validate(asked([("user", prompt)], reading) | answers | about)


def _judgements(votes: Iterable[PairVote], dropped: Counter[str]) -> Iterator[Row]:
    """Yield a row for each vote that chose; `response_a` is everywhere the contender's whose name comes first."""
    rows = list(votes)
    two_contenders(rows, "AutoSxS")
    for vote in map(by_name, rows):
        if vote.verdict not in ("a", "b"):
            dropped[TIED] += 1
            continue
        yield {
            "inference_instruction": vote.transcript,
            "inference_context": "",
            "response_a": vote.a.text,
            "response_b": vote.b.text,
            "choice": vote.verdict.upper(),
            "explanation": vote.reason,
        }


FORMATS = (
    Format(
        "autosxs",
        "AutoSxS's judgements, made by a model: `response_a`, `response_b`, `choice`, `confidence`, `explanation`",
        JudgementRow,
        read={"votes": _judgement},
        join={"votes": _judgements},
        cannot_hold="The autorater's confidence is left out, and of ours ids, categories, criteria, strengths, times, who judged, "
        "and ties; turns become one text. The file names no models: its answers are those of `a` and `b`, of ours in the order "
        "of the contenders' names. It says of every choice that a model made it, so votes read from it are marked as automatic.",
    ),
)
