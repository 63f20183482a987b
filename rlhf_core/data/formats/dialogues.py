"""Dialogues with summaries, as DialogSum (Chen et al. 2021, arXiv 2105.06762) and SAMSum have them.

{"fname": "train_0", "dialogue": "#Person1#: Hi.\\n#Person2#: …", "summary": "…", "topic": "…"}; DialogSum's test file has three.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from rlhf_core.data.exchange.format import Dropped, ForeignRow, Format, Reading, Row
from rlhf_core.data.exchange.talk import asked
from rlhf_core.data.records import Demonstration, Prompt
from rlhf_core.data.splits import normalise
from rlhf_core.errors import DataError

BEFORE, AFTER = "Summarize the following conversation.\n\n", "\n\nSummary:"
"""How FLAN-T5 was asked in its own training mixture (Longpre et al. 2023, arXiv 2301.13688), or nearly so."""


class DialogSumRow(ForeignRow):
    """A dialogue and its summary; the test split has three."""

    dialogue: str
    fname: str | int = ""
    id: str | int = ""
    summary: str | None = None
    summary1: str | None = None
    summary2: str | None = None
    summary3: str | None = None


def _read(row: DialogSumRow, reading: Reading) -> Iterator[Demonstration]:
    summaries = [s.strip() for s in (row.summary, row.summary1, row.summary2, row.summary3) if s and s.strip()]
    if not summaries:
        raise Dropped("no summary")
    if not (dialogue := row.dialogue.replace("\r\n", "\n").strip()):
        raise Dropped("the dialogue is empty")
    for number, summary in enumerate(summaries, 1):
        about = asked([("user", f"{BEFORE}{dialogue}{AFTER}")], reading)
        own = f"{reading.id}-{number}" if len(summaries) > 1 else reading.id
        rest = {"id": own, "response": summary, "prompt_id": str(row.id if row.fname == "" else row.fname)}
        yield Demonstration.model_validate(about | rest)


def _written(record: Demonstration) -> Iterator[Row]:
    if (dialogue := dialogue_of(record)) is None:
        raise Dropped("the prompt does not ask for a summary as DialogSum is read here")
    yield {"fname": record.prompt_id or record.id, "dialogue": dialogue, "summary": record.response}


def dialogue_of(record: Demonstration) -> str | None:
    """Return the dialogue that a record asks to summarise, None when it asks something else."""
    prompt = record.prompt
    if record.history or not (prompt.startswith(BEFORE) and prompt.endswith(AFTER)):
        return None
    dialogue = prompt[len(BEFORE) : -len(AFTER)]
    return dialogue if dialogue.strip() else None


def build_dialogues(
    found: Sequence[Demonstration], eval_prompts: int, max_words: int, seed: int
) -> tuple[list[Prompt], list[Demonstration]]:
    """Return (prompts, demonstrations): each dialogue once, those longer than `max_words` left out, some held out.

    Demonstrations are the summaries of those that are not held out; of several of one dialogue, the first.

    Raises:
        DataError: nothing would be left to train on.
    """
    unique: dict[str, Demonstration] = {}
    for one in found:
        dialogue = dialogue_of(one) or one.prompt
        if len(dialogue.split()) <= max_words:
            unique.setdefault(normalise(dialogue), one)
    kept = list(unique.values())
    if len(kept) <= eval_prompts:
        raise DataError(
            f"{len(kept)} different dialogues of up to {max_words} words leave nothing to train on beside "
            f"{eval_prompts} held out",
            remedy="Give more files, a higher --max-words or a lower --eval-prompts",
        )
    random.Random(seed).shuffle(kept)
    prompts, shown = [], []
    for number, one in enumerate(kept):
        held_out = number < eval_prompts
        about = {"id": f"dialogue-{number}", "prompt": one.prompt, "category": "dialogue"}
        prompts.append(Prompt.model_validate(about | {"split": "eval" if held_out else "train"}))
        if not held_out:
            shown.append(Demonstration.model_validate(about | {"response": one.response}))
    return prompts, shown


FORMATS = (
    Format(
        "dialogsum",
        "DialogSum's `fname` (or `id`), `dialogue`, `summary` (or `summary1` to `summary3`)",
        DialogSumRow,
        tells=lambda row: not row.keys().isdisjoint(("summary", "summary1")),
        read={"demonstrations": _read},
        write={"demonstrations": _written},
        cannot_hold="Topics, ids and categories are left out; where a demonstration names no prompt, its id becomes the prompt's; "
        "line ends become `\\n`, and white space around dialogues and summaries goes. What does not ask for a summary in the "
        "words in which a dialogue is read is not written.",
    ),
)
