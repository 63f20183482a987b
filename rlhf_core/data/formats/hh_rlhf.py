"""The hh-rlhf preference pairs (Bai et al. 2022, arXiv 2204.05862): two whole transcripts that differ in the last reply.

{"chosen": "\\n\\nHuman: …\\n\\nAssistant: …", "rejected": "\\n\\nHuman: …\\n\\nAssistant: …"}
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from rlhf_core.data.io import read_jsonl
from rlhf_core.data.records import Completion, Demonstration, Message, Prompt, Ranking, Record, transcript
from rlhf_core.data.splits import normalise
from rlhf_core.errors import DataError

SPEAKER = re.compile(r"\n\n(Human|Assistant):")
WORD = re.compile(r"\w+|[^\w\s]")
FILES = {"helpful": "helpful-base/test.jsonl.gz", "harmless": "harmless-base/test.jsonl.gz"}
"""Category → file inside the folder of the data set."""
PPO_CATEGORY = "harmless"


class Pair(Record):
    """One line of a file: two transcripts."""

    chosen: str
    rejected: str


@dataclass(frozen=True)
class Comparison:
    """A conversation up to the person's last turn, and the two replies to it."""

    id: str
    category: str
    conversation: tuple[Message, ...]
    chosen: str
    rejected: str

    @property
    def opening(self) -> str:
        """The normalised first turn, which all conversations grown from one beginning share."""
        return normalise(self.conversation[0].content)


@dataclass(frozen=True)
class ImportSettings:
    """How much of the data to use. Lengths are counted in words and signs, of which a token holds a little less."""

    eval_prompts: int = 100
    max_prompt: int = 120
    max_response: int = 60
    max_turns: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Imported:
    """The records of a pipeline."""

    prompts: list[Prompt]
    rankings: list[Ranking]
    demonstrations: list[Demonstration]


def read_comparisons(path: Path, category: str) -> tuple[list[Comparison], Counter[str]]:
    """Read one file; return its comparisons and, by reason, how many pairs are none.

    Raises:
        DataError: the file is missing, or a line is not a pair.
    """
    found: list[Comparison] = []
    dropped: Counter[str] = Counter()
    for number, pair in enumerate(read_jsonl(path, Pair), 1):
        try:
            conversation, chosen, rejected = parse_pair(pair)
        except DataError as error:
            dropped[error.what] += 1
        else:
            found.append(Comparison(f"{category}-{number:05d}", category, conversation, chosen, rejected))
    return found, dropped


def parse_pair(pair: Pair) -> tuple[tuple[Message, ...], str, str]:
    """Return (conversation, chosen reply, rejected reply) of two transcripts.

    Raises:
        DataError: the pair is no comparison of two replies to one conversation; `what` is the reason.
    """
    if pair.chosen == pair.rejected:
        raise DataError("the two transcripts are the same")
    (before, chosen), (other, rejected) = parse_transcript(pair.chosen), parse_transcript(pair.rejected)
    if before != other:
        raise DataError("the conversations differ before the last reply")
    if chosen == rejected:
        raise DataError("the two transcripts are the same")
    return before, chosen, rejected


def parse_transcript(text: str) -> tuple[tuple[Message, ...], str]:
    """Return the conversation of a transcript up to the last reply, and that reply.

    Raises:
        DataError: the turns do not alternate from a person's to a reply, or one is empty; `what` is the reason.
    """
    before, *parts = SPEAKER.split(text)
    roles, turns = parts[::2], [turn.strip() for turn in parts[1::2]]
    if before.strip() or not roles or roles[0] != "Human":
        raise DataError("the transcript does not begin with Human")
    if any(role == following for role, following in pairwise(roles)):
        raise DataError("one speaker has two turns in a row")
    if roles[-1] == "Human":
        raise DataError("the transcript ends with Human")
    if not turns[-1]:
        raise DataError("the last reply is empty")
    if not all(turns):
        raise DataError("a turn before the last reply is empty")
    names = {"Human": "user", "Assistant": "assistant"}
    messages = [Message.model_validate({"role": names[r], "content": t}) for r, t in zip(roles, turns, strict=True)]
    return tuple(messages[:-1]), turns[-1]


def build_records(
    comparisons: Sequence[Comparison], settings: ImportSettings, tested: Iterable[Prompt] = ()
) -> Imported:
    """Turn comparisons into prompts, rankings and demonstrations, of which none shares its opening with a held-out prompt.

    `tested` are prompts of another test, held out too.

    Raises:
        DataError: fewer short conversations than held-out prompts asked for.
    """
    short = [c for c in comparisons if c.category == PPO_CATEGORY and _prompt_fits(c, settings)]
    held_out = _draw_held_out(short, settings)
    openings = {c.opening for c in held_out} | {normalise(p.prompt) for p in tested}
    train = [c for c in comparisons if c.opening not in openings]
    distinct = {transcript(c.conversation): c for c in reversed(short) if c.opening not in openings}
    prompts = sorted(distinct.values(), key=lambda c: c.id)
    answered = [c for c in train if _prompt_fits(c, settings) and length(c.chosen) <= settings.max_response]
    return Imported(
        prompts=[_prompt(c, "train") for c in prompts] + [_prompt(c, "eval") for c in held_out],
        rankings=[_ranking(c) for c in train],
        demonstrations=[_demonstration(c) for c in answered],
    )


def length(text: str) -> int:
    """Return the number of words and signs in a text."""
    return len(WORD.findall(text))


def describe_dropped(dropped: Mapping[str, int]) -> list[str]:
    """Return a line for each reason, the commonest first."""
    return [f"{count} dropped: {reason}" for reason, count in sorted(dropped.items(), key=lambda kv: (-kv[1], kv[0]))]


def _prompt_fits(comparison: Comparison, settings: ImportSettings) -> bool:
    turns = (len(comparison.conversation) + 1) // 2
    few = settings.max_turns is None or turns <= settings.max_turns
    return few and length(transcript(comparison.conversation)) <= settings.max_prompt


def _draw_held_out(short: Iterable[Comparison], settings: ImportSettings) -> list[Comparison]:
    """Draw openings at random, and the first conversation of each."""
    first: dict[str, Comparison] = {}
    for comparison in short:
        first.setdefault(comparison.opening, comparison)
    if len(first) <= settings.eval_prompts:
        raise DataError(
            f"only {len(first)} {PPO_CATEGORY} conversations are short enough, too few to hold some out and train on others",
            value=settings.eval_prompts,
            remedy="Hold fewer out, or allow longer ones",
        )
    drawn = random.Random(settings.seed).sample(sorted(first), settings.eval_prompts)
    return sorted((first[opening] for opening in drawn), key=lambda c: c.id)


def _prompt(comparison: Comparison, split: str) -> Prompt:
    return Prompt.model_validate({**_asked(comparison), "id": f"prompt-{comparison.id}", "split": split})


def _ranking(comparison: Comparison) -> Ranking:
    texts = {"chosen": comparison.chosen, "rejected": comparison.rejected}
    completions = [Completion(id=name, text=text) for name, text in texts.items()]
    asked = {**_asked(comparison), "id": f"ranking-{comparison.id}"}
    return Ranking.model_validate({**asked, "completions": completions, "ranking": [["chosen"], ["rejected"]]})


def _demonstration(comparison: Comparison) -> Demonstration:
    asked = {**_asked(comparison), "id": f"demonstration-{comparison.id}"}
    return Demonstration.model_validate({**asked, "response": comparison.chosen})


def _asked(comparison: Comparison) -> dict[str, object]:
    *history, last = comparison.conversation
    return {"prompt": last.content, "history": history, "category": comparison.category}
