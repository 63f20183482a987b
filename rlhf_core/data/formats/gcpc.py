"""Google Cloud's RLHF pipeline (`rlhf_pipeline`): prompts, preferences, predictions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import model_validator

from rlhf_core.data.exchange.format import ForeignRow, Format, Reading, Row, preference
from rlhf_core.data.exchange.talk import asked, messages_of, turns_of, with_reply
from rlhf_core.data.records import Asked, ContenderCompletion, Demonstration, Preference, Prompt, transcript

LOST = "Ids, categories, weights, where a judgement comes from, and whether a prompt is held out are left out."


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
)
