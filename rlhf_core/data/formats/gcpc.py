"""Google Cloud's RLHF pipeline (`rlhf_pipeline`) and AutoSxS: prompts, preferences, predictions, automatic judgements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import model_validator

from rlhf_core.data.exchange.format import Dropped, ForeignRow, Format, Reading, Row, preference
from rlhf_core.data.exchange.talk import asked, turns_of
from rlhf_core.data.records import Asked, ContenderCompletion, Demonstration, PairVote, Preference, Prompt, transcript

LOST = "Ids and categories are left out."
AUTORATER = "autorater"


class ChoiceRow(ForeignRow):
    """What is asked, as `input_text` or as `messages` of authors; two candidates and the index of the better one."""

    candidate_0: str
    candidate_1: str
    choice: Literal[0, 1, "0", "1"]
    input_text: str | None = None
    messages: list[dict[str, Any]] | None = None
    context: str = ""

    @model_validator(mode="after")
    def _one_of_two(self) -> ChoiceRow:
        if (self.input_text is None) == (self.messages is None):
            raise ValueError("expected either input_text or messages")
        return self


class InputRow(ForeignRow):
    """A prompt as text."""

    input_text: str


class OutputRow(InputRow):
    """A prompt with the answer to learn."""

    output_text: str


class Inputs(ForeignRow):
    """The prompt of a prediction."""

    inputs_pretokenized: str


class PredictionRow(ForeignRow):
    """One line of a batch prediction."""

    inputs: Inputs
    prediction: str


class JudgementRow(ForeignRow):
    """One line of AutoSxS's judgements; `choice` is A or B."""

    response_a: str
    response_b: str
    choice: str
    confidence: float | None = None
    explanation: str = ""
    inference_instruction: str | None = None
    input_text: str | None = None
    prompt: str | None = None


def _asked(row: ChoiceRow, reading: Reading) -> Row:
    if row.messages is None:
        return asked([("user", row.input_text or "")], reading)
    context = [("system", row.context)] if row.context else []
    return asked(context + turns_of(row.messages, role="author"), reading)


def _prompt(row: InputRow, reading: Reading) -> Iterator[Prompt]:
    yield Prompt.model_validate(asked([("user", row.input_text)], reading))


def _demonstration(row: OutputRow, reading: Reading) -> Iterator[Demonstration]:
    yield Demonstration.model_validate(asked([("user", row.input_text)], reading) | {"response": row.output_text})


def _preference(row: ChoiceRow, reading: Reading) -> Iterator[Preference]:
    candidates = (row.candidate_0, row.candidate_1)
    better = int(row.choice)
    yield preference(_asked(row, reading), candidates[better], candidates[1 - better])


def _completion(row: PredictionRow, reading: Reading) -> Iterator[ContenderCompletion]:
    about = {"prompt_id": reading.id, "prompt": row.inputs.inputs_pretokenized}
    yield ContenderCompletion.model_validate(about | {"contender": "prediction", "text": row.prediction})


def _judgement(row: JudgementRow, reading: Reading) -> Iterator[PairVote]:
    prompt = row.inference_instruction or row.input_text or row.prompt
    if not prompt:
        raise Dropped("no field names the prompt (inference_instruction, input_text or prompt)")
    verdict = {"A": "a", "B": "b"}.get(row.choice.strip().upper(), "tie")
    answers = {"a": {"contender": "a", "text": row.response_a}, "b": {"contender": "b", "text": row.response_b}}
    about = {"verdict": verdict, "labeller": AUTORATER, "automatic": True, "reason": row.explanation}
    yield PairVote.model_validate(asked([("user", prompt)], reading) | answers | about)


def _input(record: Asked) -> Row:
    if not record.history:
        return {"input_text": record.prompt}
    return {"messages": [{"author": turn.role, "content": turn.content} for turn in record.conversation]}


FORMATS = (
    Format(
        "gcpc-preference",
        "Google Cloud's preference data: `input_text` or `messages`, `candidate_0`, `candidate_1`, `choice`",
        ChoiceRow,
        read={"preferences": _preference},
        write={
            "preferences": lambda r: [_input(r) | {"candidate_0": r.chosen, "candidate_1": r.rejected, "choice": 0}]
        },
        cannot_hold=LOST,
    ),
    Format(
        "gcpc-tuning",
        "Google Cloud's supervised data: `input_text` and `output_text`",
        OutputRow,
        read={"demonstrations": _demonstration},
        write={"demonstrations": lambda r: [{"input_text": transcript(r.conversation), "output_text": r.response}]},
        cannot_hold=LOST + " A conversation becomes one text.",
    ),
    Format(
        "gcpc-prompt",
        "Google Cloud's prompts: `input_text`",
        InputRow,
        read={"prompts": _prompt},
        write={"prompts": lambda r: [{"input_text": transcript(r.conversation)}]},
        cannot_hold=LOST + " A conversation becomes one text.",
    ),
    Format(
        "gcpc-prediction",
        "Google Cloud's batch predictions: `inputs.inputs_pretokenized` and `prediction`",
        PredictionRow,
        read={"completions": _completion},
        write={"completions": lambda r: [{"inputs": {"inputs_pretokenized": r.prompt}, "prediction": r.text}]},
        cannot_hold="Who wrote a completion is left out; a file is one contender's.",
    ),
    Format(
        "autosxs",
        "AutoSxS's judgements, made by a model: `response_a`, `response_b`, `choice`, `confidence`, `explanation`",
        JudgementRow,
        read={"votes": _judgement},
        cannot_hold="The autorater's confidence is no vote of people and is left out.",
    ),
)
