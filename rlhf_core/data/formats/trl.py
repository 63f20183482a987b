"""The dataset shapes of TRL (docs/source/dataset_formats.md), plain texts or lists of messages, with or without `prompt`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

from pydantic import model_validator

from rlhf_core.data.exchange.format import Dropped, ForeignRow, Format, Reading, Row, preference
from rlhf_core.data.exchange.talk import asked, messages_of, turns_of, with_reply
from rlhf_core.data.records import Demonstration, Preference, Prompt
from rlhf_core.errors import DataError

Talk = str | list[dict[str, Any]]
LOST = "Ids, categories, weights and where a judgement comes from are left out."


class ImplicitRow(ForeignRow):
    """Two texts or conversations that begin with the same prompt."""

    chosen: Talk
    rejected: Talk

    @model_validator(mode="after")
    def _of_one_kind(self) -> ImplicitRow:
        if type(self.chosen) is not type(self.rejected):
            raise ValueError("chosen and rejected differ in kind; expected two texts or two lists of messages")
        return self


class PreferenceRow(ImplicitRow):
    """A prompt and two answers."""

    prompt: Talk


class CompletionRow(ForeignRow):
    """A prompt and its answer."""

    prompt: Talk
    completion: Talk


class TextRow(ForeignRow):
    """A text."""

    text: str


class StepsRow(ForeignRow):
    """A prompt, the steps of an answer, and whether each is right."""

    prompt: str
    completions: list[str]
    labels: list[bool]

    @model_validator(mode="after")
    def _a_label_for_each(self) -> StepsRow:
        if len(self.completions) != len(self.labels):
            raise ValueError(f"{len(self.completions)} completions and {len(self.labels)} labels; expected as many")
        return self


class LabelledRow(CompletionRow):
    """A prompt, an answer, and whether it is a good one."""

    label: bool


class MessagesRow(ForeignRow):
    """A conversation."""

    messages: list[dict[str, Any]]


class PromptRow(ForeignRow):
    """A prompt alone."""

    prompt: Talk


def _preference(row: PreferenceRow, reading: Reading) -> Iterator[Preference]:
    if isinstance(row.chosen, list) and row.chosen and row.chosen[0].get("role") != "assistant":
        yield from _implicit(row, reading)  # the prompt is there too, before the answers
    else:
        yield _preferred(row.prompt, row.chosen, row.rejected, reading)


def _implicit(row: ImplicitRow, reading: Reading) -> Iterator[Preference]:
    if row.chosen == row.rejected:
        raise Dropped("the two answers are the same")
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(row.chosen, row.rejected, strict=False)))
    if isinstance(row.chosen, str):
        shared = len(re.sub(r"\S+$", "", row.chosen[:shared]))  # not within a word
        prompt: Talk = row.chosen[:shared].rstrip()
    else:
        shared = min(shared, len(row.chosen) - 1, len(row.rejected) - 1)
        prompt = row.chosen[: max(shared, 0)]
    if not prompt:
        raise Dropped("the two begin differently: no prompt can be told")
    yield _preferred(prompt, row.chosen[shared:], row.rejected[shared:], reading)


def _preferred(prompt: Talk, chosen: Talk, rejected: Talk, reading: Reading) -> Preference:
    return preference(_asked(prompt, reading), _reply(chosen), _reply(rejected))


def _asked(prompt: Talk, reading: Reading) -> Row:
    return asked([("user", prompt)] if isinstance(prompt, str) else turns_of(prompt), reading)


def _reply(answer: Talk) -> str:
    if isinstance(answer, str):
        return answer
    turns = turns_of(answer)
    if len(turns) != 1 or turns[0][0] != "assistant":
        raise DataError(f"expected one message of the assistant as an answer, found {[role for role, _ in turns]}")
    return turns[0][1]


def _completion(row: CompletionRow, reading: Reading) -> Iterator[Demonstration]:
    about, reply = _asked(row.prompt, reading), _reply(row.completion)
    if not reply.strip():
        raise Dropped("the reply is empty")
    yield Demonstration.model_validate(about | {"response": reply})


def _labelled(row: LabelledRow, reading: Reading) -> Iterator[Demonstration]:
    if not row.label:
        raise Dropped("labelled as a bad answer")
    yield from _completion(row, reading)


def _steps(row: StepsRow, reading: Reading) -> Iterator[Demonstration]:
    if not all(row.labels):
        raise Dropped("a step is labelled as wrong")
    answer = "\n".join(row.completions)
    if not answer.strip():
        raise Dropped("the reply is empty")
    yield Demonstration.model_validate(_asked(row.prompt, reading) | {"response": answer})


def _messages(row: MessagesRow, reading: Reading) -> Iterator[Demonstration]:
    about, reply = with_reply(turns_of(row.messages), reading)
    yield Demonstration.model_validate(about | {"response": reply})


def _prompt(row: PromptRow | CompletionRow | StepsRow, reading: Reading) -> Iterator[Prompt]:
    yield Prompt.model_validate(_asked(row.prompt, reading))


def _prompt_of_talk(row: MessagesRow, reading: Reading) -> Iterator[Prompt]:
    turns = turns_of(row.messages)
    yield Prompt.model_validate(asked(turns if turns and turns[-1][0] == "user" else turns[:-1], reading))


def _reply_of(text: str) -> Sequence[Row]:
    return [{"role": "assistant", "content": text}]


FORMATS = (
    Format(
        "trl-preference",
        "TRL's preference data: `prompt`, `chosen`, `rejected`",
        PreferenceRow,
        read={"preferences": _preference},
        write={
            "preferences": lambda r: [
                {"prompt": messages_of(r), "chosen": _reply_of(r.chosen), "rejected": _reply_of(r.rejected)}
            ]
        },
        cannot_hold=LOST,
    ),
    Format(
        "trl-implicit",
        "TRL's preference data without `prompt`: `chosen` and `rejected` begin with it",
        ImplicitRow,
        read={"preferences": _implicit},
        write={"preferences": lambda r: [{"chosen": messages_of(r, r.chosen), "rejected": messages_of(r, r.rejected)}]},
        cannot_hold=LOST,
    ),
    Format(
        "trl-unpaired",
        "TRL's unpaired preference data: `prompt`, `completion`, `label`",
        LabelledRow,
        read={"demonstrations": _labelled, "prompts": _prompt},
        write={
            "preferences": lambda r: [
                {"prompt": messages_of(r), "completion": _reply_of(text), "label": label}
                for text, label in ((r.chosen, True), (r.rejected, False))
            ]
        },
        cannot_hold=LOST + " Which two answers belong together is lost too.",
    ),
    Format(
        "trl-completion",
        "TRL's `prompt` and `completion`",
        CompletionRow,
        read={"demonstrations": _completion},
        write={"demonstrations": lambda r: [{"prompt": messages_of(r), "completion": _reply_of(r.response)}]},
        cannot_hold=LOST,
    ),
    Format(
        "trl-messages",
        "TRL's and OpenAI's `messages`",
        MessagesRow,
        read={"demonstrations": _messages, "prompts": _prompt_of_talk},
        write={"demonstrations": lambda r: [{"messages": messages_of(r, r.response)}]},
        cannot_hold=LOST,
    ),
    Format(
        "trl-prompt",
        "TRL's `prompt` alone",
        PromptRow,
        read={"prompts": _prompt},
        write={"prompts": lambda r: [{"prompt": messages_of(r)}]},
        cannot_hold=LOST + " So is whether a prompt is held out.",
    ),
    Format(
        "trl-stepwise",
        "TRL's stepwise supervision: `prompt`, `completions` (steps), `labels`",
        StepsRow,
        read={"demonstrations": _steps, "prompts": _prompt},
        cannot_hold="Steps become the lines of one answer, and answers with a wrong step are dropped.",
    ),
    Format(
        "trl-text",
        "TRL's language modelling data: `text`",
        TextRow,
        instead="A text does not say where its prompt ends: `rlhf pretrain` learns from it as it is",
    ),
)
