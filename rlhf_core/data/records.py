"""The records of our JSONL files: prompts, demonstrations, rankings, completions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from rlhf_core.visible import check_name


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; expected some text")
    return text


Text = Annotated[str, AfterValidator(_not_blank)]
Name = Annotated[str, AfterValidator(check_name)]
"""What tables, pages and terminals print as it is: one line in which nothing acts."""
Id = Annotated[Text, AfterValidator(check_name)]
Split = Literal["train", "eval"]


class Record(BaseModel):
    """Base of all records: immutable, and unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(Record):
    """One turn of a conversation."""

    role: Literal["user", "assistant"]
    content: Text


def transcript(messages: Sequence[Message]) -> str:
    """Return a conversation as one text, for readers of text; a conversation of one message is that message."""
    if len(messages) == 1:
        return messages[0].content
    return "\n\n".join(f"{message.role.capitalize()}: {message.content}" for message in messages)


def last_message(text: str, history: Sequence[Message]) -> str:
    """Return the message that a transcript ends with, `history` being the turns before it.

    Raises:
        ValueError: the transcript does not begin with these turns, or nothing follows them.
    """
    if not history:
        return text
    before = f"{transcript(history)}\n\nUser: "
    if not text.startswith(before) or not text[len(before) :].strip():
        raise ValueError("history: the prompt is not the transcript of these turns and a message after them")
    return text[len(before) :]


def _alternates(turns: list[Message]) -> list[Message]:
    roles = [turn.role for turn in turns]
    if roles != ["user", "assistant"] * (len(roles) // 2):
        raise ValueError(f"expected turns of user and assistant in alternation up to an assistant's, found {roles}")
    return turns


History = Annotated[list[Message], AfterValidator(_alternates)]


class Asked(Record):
    """What is asked: a user's message, `prompt`, and the turns before it, `history`, when it goes on a conversation."""

    id: Id
    prompt: Text
    history: History = Field(default=[], exclude_if=lambda turns: not turns)
    category: Name = ""

    @property
    def conversation(self) -> list[Message]:
        """All turns, the prompt last."""
        return [*self.history, Message(role="user", content=self.prompt)]

    @property
    def transcript(self) -> str:
        """The conversation as one text."""
        return transcript(self.conversation)

    @property
    def opening(self) -> str:
        """The first message, which every conversation that grew from the same beginning shares."""
        return self.conversation[0].content


class Prompt(Asked):
    """One instruction. Field `split` says whether a policy may train on it (`train`) or is held out (`eval`)."""

    split: Split = "train"


class RefusalPrompt(Prompt):
    """A prompt of a test of refusals, always held out: a `safe` one deserves an answer, an `unsafe` one is right to decline."""

    category: Literal["safe", "unsafe"] = Field(default=...)
    split: Literal["eval"] = "eval"


class Demonstration(Asked):
    """A prompt with a response worth imitating: one example of supervised fine-tuning."""

    response: Text
    prompt_id: Name = ""


class Completion(Record):
    """One candidate response inside a `Ranking`; `source` says who wrote it."""

    id: Id
    text: Text
    source: Name = ""


class Provenance(Record):
    """Where an exported judgement comes from: the task and criterion, how many voted, how far they agreed, who decided."""

    task: int
    criterion: str
    instruction_versions: list[str]
    votes: int
    agreement: float
    method: str
    simulated: bool = Field(default=False, exclude_if=lambda simulated: not simulated)
    """True where no person voted: a trial of the loop."""


Weight = Annotated[float, Field(gt=0, le=1)]
"""How sure a judgement is: its share of a prompt's loss; 1 unless it is a consensus of several people."""


class Preference(Asked):
    """Two completions of one prompt, `chosen` preferred to `rejected`."""

    chosen: Text
    rejected: Text
    prompt_id: Name = ""
    weight: Weight = 1.0
    provenance: Provenance | None = None

    def as_ranking(self) -> Ranking:
        """Return it as a ranking of two."""
        return Ranking(
            id=self.id,
            prompt=self.prompt,
            history=self.history,
            category=self.category,
            prompt_id=self.prompt_id,
            completions=[Completion(id="chosen", text=self.chosen), Completion(id="rejected", text=self.rejected)],
            ranking=[["chosen"], ["rejected"]],
            weight=self.weight,
            provenance=self.provenance,
        )


class Ranking(Asked):
    """K completions of one prompt, ranked by people: `ranking` lists tie groups of completion ids, best first."""

    completions: list[Completion] = Field(min_length=2, max_length=9)
    ranking: list[list[str]]
    prompt_id: Name = ""
    weight: Weight = Field(default=1.0, exclude_if=lambda weight: weight == 1)
    provenance: Provenance | None = Field(default=None, exclude_if=lambda origin: origin is None)

    @model_validator(mode="after")
    def _ranks_every_completion_once(self) -> Ranking:
        known = [c.id for c in self.completions]
        ranked = [i for group in self.ranking for i in group]
        if len(set(known)) < len(known):
            raise ValueError(f"completions: ids repeat; expected each once, found {known}")
        if unknown := [i for i in ranked if i not in known]:
            raise ValueError(f"ranking: unknown completion ids {unknown}; expected ids out of {known}")
        if sorted(ranked) != sorted(known):
            raise ValueError(f"ranking: expected every completion id exactly once, found {ranked} for {known}")
        return self

    def pairs(self) -> list[tuple[str, str]]:
        """Return all (chosen text, rejected text) pairs; completions tied with each other form none."""
        text = {c.id: c.text for c in self.completions}
        place = {i: n for n, group in enumerate(self.ranking) for i in group}
        ordered = sorted(combinations(place, 2))
        return [
            (text[a], text[b]) if place[a] < place[b] else (text[b], text[a])
            for a, b in ordered
            if place[a] != place[b]
        ]


class Answer(Record):
    """One side of a vote: what was answered, and by which contender."""

    contender: Id
    text: str


class PairVote(Asked):
    """What one judge said of two answers to one prompt. People's votes name a pseudonym; `automatic` says that no person judged."""

    a: Answer
    b: Answer
    verdict: Literal["a", "b", "tie", "both_bad"]
    labeller: Name
    criterion: Name = "overall"
    prompt_id: Name = ""
    strength: int | None = Field(default=None, ge=1, le=3)
    """How much better, where the judge said so: 1 a little to 3 much."""
    reason: str = ""
    created_at: Name = ""
    automatic: bool = Field(default=False, exclude_if=lambda automatic: not automatic)


class ContenderCompletion(Record):
    """What one contender answered to one prompt: a row of `completions/<contender>.jsonl`.

    `prompt` is the transcript of what was asked, whole; `history` says which turns of it came before the last message.
    """

    prompt_id: Id
    prompt: Text
    history: History = Field(default=[], exclude_if=lambda turns: not turns)
    category: Name = ""
    contender: Id
    text: str
    tokens: int | None = Field(default=None, ge=0, exclude_if=lambda tokens: tokens is None)
    """None where another program wrote the answer and did not say."""
    finished: bool | None = Field(default=None, exclude_if=lambda finished: finished is None)
    """True when the model ended its answer itself, False when the token limit cut it off, None when that is not known."""

    @model_validator(mode="after")
    def _leads_to_the_prompt(self) -> ContenderCompletion:
        last_message(self.prompt, self.history)
        return self

    @property
    def last_message(self) -> str:
        """The message that was answered."""
        return last_message(self.prompt, self.history)


class GivenAnswer(Record):
    """An answer from anywhere: to the prompt with this id, or where it has none to the prompt of this very text."""

    text: str
    prompt_id: Name = ""
    prompt: str = ""
    category: Name = ""
    contender: Name = ""
    tokens: int | None = Field(default=None, ge=0)
    finished: bool | None = None

    @model_validator(mode="after")
    def _answers_something(self) -> GivenAnswer:
        if not self.prompt_id and not self.prompt.strip():
            raise ValueError("expected prompt_id, or else prompt, to say what is answered")
        return self

    def of(self, prompt: Prompt, contender: str) -> ContenderCompletion:
        """Return it as what a contender answered to a prompt."""
        return ContenderCompletion(
            prompt_id=prompt.id,
            prompt=prompt.transcript,
            history=prompt.history,
            category=prompt.category,
            contender=contender,
            text=self.text,
            tokens=self.tokens,
            finished=self.finished,
        )
