"""AlpacaEval (Li et al. 2023): model outputs, and annotations of two outputs by a model or a person."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pydantic import Field

from rlhf_core.data.exchange.format import Dropped, ForeignRow, Format, Reading, Row
from rlhf_core.data.exchange.talk import asked
from rlhf_core.data.records import ContenderCompletion, PairVote, transcript

TIES = (0.0, 1.5)
PREFERENCES = {"a": 1.0, "b": 2.0, "tie": 1.5, "both_bad": 1.5}
PEOPLE = "human"


class OutputRow(ForeignRow):
    """One output."""

    instruction: str
    output: str
    generator: str
    dataset: str = ""


class AnnotationRow(ForeignRow):
    """Two outputs and which is preferred: 1 the first, 2 the second, 1.5 or 0 neither; between them, how much."""

    instruction: str
    output_1: str
    output_2: str
    preference: float | None = Field(ge=0, le=2)
    generator_1: str = "output_1"
    generator_2: str = "output_2"
    annotator: str = "unknown"
    annotator_index: int | str | None = None
    dataset: str = ""


def _completion(row: OutputRow, reading: Reading) -> Iterator[ContenderCompletion]:
    about = {"prompt_id": reading.id, "prompt": row.instruction, "category": row.dataset}
    yield ContenderCompletion.model_validate(about | {"contender": row.generator, "text": row.output})


def _vote(row: AnnotationRow, reading: Reading) -> Iterator[PairVote]:
    value = row.preference
    if value is None or math.isnan(value):
        raise Dropped("the preference is missing")
    verdict = "tie" if value in TIES else "a" if value < TIES[1] else "b"
    answers = {
        side: {"contender": name, "text": text}
        for side, name, text in (("a", row.generator_1, row.output_1), ("b", row.generator_2, row.output_2))
    }
    about = asked([("user", row.instruction)], reading)
    person = row.annotator_index is not None or row.annotator.startswith(PEOPLE)
    name = row.annotator if row.annotator_index is None else row.annotator_index
    rest = {
        "verdict": verdict,
        "labeller": reading.pseudonym(name) if person else row.annotator,
        "category": row.dataset,
        "automatic": not person,
    }
    yield PairVote.model_validate(about | answers | rest)


def _output_row(record: ContenderCompletion) -> Iterator[Row]:
    about = {"instruction": record.prompt, "output": record.text}
    yield about | {"generator": record.contender, "dataset": record.category}


def _annotation_row(vote: PairVote) -> Iterator[Row]:
    yield {
        "instruction": transcript(vote.conversation),
        "output_1": vote.a.text,
        "generator_1": vote.a.contender,
        "output_2": vote.b.text,
        "generator_2": vote.b.contender,
        "annotator": vote.labeller if vote.automatic else f"{PEOPLE}-{vote.labeller}",
        "preference": PREFERENCES[vote.verdict],
        "dataset": vote.category,
    }


FORMATS = (
    Format(
        "alpaca-eval",
        "AlpacaEval's outputs: `instruction`, `output`, `generator`, `dataset`",
        OutputRow,
        read={"completions": _completion},
        write={"completions": _output_row},
        cannot_hold="Ids of prompts, counts of tokens, and whether an answer was cut off are left out.",
    ),
    Format(
        "alpaca-eval-annotations",
        "AlpacaEval's annotations: two outputs, their generators, `annotator`, `preference` (1, 2; 1.5 or 0 a tie)",
        AnnotationRow,
        read={"votes": _vote},
        write={"votes": _annotation_row},
        cannot_hold="Ids, criteria, strengths, reasons and times are left out, turns become one text, and two bad answers are a "
        "tie. People become pseudonyms; an annotator whose name does not begin with `human` and who has no "
        "`annotator_index` is taken for a model.",
    ),
)
