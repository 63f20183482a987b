"""Google Cloud's RLHF pipeline (`rlhf_pipeline`) and AutoSxS: prompts, preferences, predictions, automatic judgements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import field_validator, model_validator

from rlhf_core.data.exchange.format import Dropped, ForeignRow, Format, Reading, Row, preference
from rlhf_core.data.exchange.talk import asked, messages_of, turns_of, with_reply
from rlhf_core.data.records import Asked, ContenderCompletion, Demonstration, PairVote, Preference, Prompt, transcript

LOST = "Ids, categories, weights, where a judgement comes from, and whether a prompt is held out are left out."
AUTORATER = "autorater"
CHOICES = {
    **dict.fromkeys(("a", "model a"), "a"),
    **dict.fromkeys(("b", "model b"), "b"),
    **dict.fromkeys(("tie", "same"), "tie"),
    "error": None,
}
"""What AutoSxS writes, in small letters → a verdict."""


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


class TalkRow(ForeignRow):
    """A conversation of authors: up to a user's message a prompt, up to an assistant's an example to learn."""

    messages: list[dict[str, Any]]
    context: str = ""


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


def _asked(row: ChoiceRow, reading: Reading) -> Row:
    if row.messages is None:
        return asked([("user", row.input_text or "")], reading)
    return asked(_turns(row.messages, row.context), reading)


def _turns(messages: list[dict[str, Any]], context: str) -> list[tuple[str, str]]:
    return [*([("system", context)] if context else []), *turns_of(messages, role="author")]


def _prompt_of_talk(row: TalkRow, reading: Reading) -> Iterator[Prompt]:
    turns = _turns(row.messages, row.context)
    yield Prompt.model_validate(asked(turns if turns and turns[-1][0] == "user" else turns[:-1], reading))


def _demonstration_of_talk(row: TalkRow, reading: Reading) -> Iterator[Demonstration]:
    about, reply = with_reply(_turns(row.messages, row.context), reading)
    yield Demonstration.model_validate(about | {"response": reply})


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
    parts = [row.inference_instruction or row.input_text or row.prompt, row.inference_context]
    prompt = "\n\n".join(part for part in parts if part and part.strip())
    if not prompt:
        raise Dropped("no field names the prompt (inference_instruction, inference_context, input_text or prompt)")
    if (verdict := CHOICES[row.choice.strip().lower()]) is None:
        raise Dropped("the judging model gave no choice")
    answers = {"a": {"contender": "a", "text": row.response_a}, "b": {"contender": "b", "text": row.response_b}}
    about = {"verdict": verdict, "labeller": AUTORATER, "automatic": True, "reason": row.explanation}
    yield PairVote.model_validate(asked([("user", prompt)], reading) | answers | about)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _input(record: Asked) -> Row:
    return {"messages": _authored(record)} if record.history else {"input_text": record.prompt}


def _authored(record: Asked, reply: str | None = None) -> list[Row]:
    return [{"author": turn["role"], "content": turn["content"]} for turn in messages_of(record, reply)]


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
        "gcpc-chat",
        "Google Cloud's conversations: `messages` of `author` and `content`, and `context`",
        TalkRow,
        read={"prompts": _prompt_of_talk, "demonstrations": _demonstration_of_talk},
        write={
            "prompts": lambda r: [{"messages": _authored(r)}],
            "demonstrations": lambda r: [{"messages": _authored(r, r.response)}],
        },
        tells=lambda row: any(isinstance(turn, dict) and "author" in turn for turn in _listed(row["messages"])),
        cannot_hold=LOST,
    ),
    Format(
        "gcpc-prediction",
        "Google Cloud's batch predictions: `inputs.inputs_pretokenized` and `prediction`",
        PredictionRow,
        read={"completions": _completion},
        write={"completions": lambda r: [{"inputs": {"inputs_pretokenized": r.prompt}, "prediction": r.text}]},
        cannot_hold="Who wrote a completion, its category, tokens and end are left out; a file is one contender's, which is called "
        "`prediction`. Ids of prompts are left out.",
    ),
    Format(
        "autosxs",
        "AutoSxS's judgements, made by a model: `response_a`, `response_b`, `choice`, `confidence`, `explanation`",
        JudgementRow,
        read={"votes": _judgement},
        cannot_hold="The autorater's confidence is left out. The file names no models: its answers are those of `a` and `b`.",
    ),
)
