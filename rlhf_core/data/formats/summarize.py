"""OpenAI's summarize-from-feedback (Stiennon et al. 2020, arXiv 2009.01325): comparisons of two summaries, ratings of one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from rlhf_core.data.exchange.format import TIED, Dropped, ForeignRow, Format, Reading, Row
from rlhf_core.data.exchange.talk import asked
from rlhf_core.data.records import Asked, ContenderCompletion, PairVote, Preference

REQUEST = "Summarise this text.\n\n"
UNKNOWN = "unknown"


class Info(ForeignRow):
    """The post."""

    id: str
    post: str | None = None
    article: str | None = None
    title: str | None = None
    subreddit: str | None = None


class Summary(ForeignRow):
    """A summary and the policy that wrote it."""

    text: str
    policy: str = UNKNOWN


class ComparisonRow(ForeignRow):
    """Two summaries and the index of the better one."""

    info: Info
    summaries: list[Summary] = Field(min_length=2, max_length=2)
    choice: Literal[0, 1]
    worker: str | None = None


class Ratings(ForeignRow):
    """What somebody gave a summary, 1 to 7 on each axis."""

    axes: dict[str, Any]


class RatedSummary(Summary, Ratings):
    """A summary with its ratings."""


class RatedRow(ForeignRow):
    """One summary, rated by itself."""

    info: Info
    summary: RatedSummary
    worker: str | None = None


def _rated(row: RatedRow, reading: Reading) -> Iterator[ContenderCompletion]:
    reading.notes["a rating on axes was left out: a completion has no place for it"] += 1
    yield ContenderCompletion.model_validate(
        {
            "prompt_id": row.info.id,
            "prompt": _request(row.info),
            "category": row.info.subreddit or "",
            "contender": row.summary.policy,
            "text": row.summary.text.strip(),
        }
    )


def _request(info: Info) -> str:
    title = f"Title: {info.title}\n\n" if info.title else ""
    return f"{REQUEST}{title}{info.post or info.article or ''}"


def _vote(row: ComparisonRow, reading: Reading) -> Iterator[PairVote]:
    info = row.info
    about = asked([("user", _request(info))], reading)
    first, second = row.summaries
    names = [first.policy, second.policy]
    if names[0] == names[1]:
        names = [f"{name}-{side}" for name, side in zip(names, "ab", strict=True)]
    answers = {
        side: {"contender": name, "text": summary.text.strip()}
        for side, name, summary in zip("ab", names, (first, second), strict=True)
    }
    rest = {
        "verdict": "ab"[row.choice],
        "labeller": reading.pseudonym(row.worker) if row.worker else UNKNOWN,
        "prompt_id": info.id,
        "category": info.subreddit or "",
    }
    yield PairVote.model_validate(about | answers | rest)


def _vote_row(vote: PairVote) -> Iterator[Row]:
    if vote.automatic:
        raise Dropped("a model judged, and the workers of this format are people")
    if vote.verdict not in ("a", "b"):
        raise Dropped(TIED)
    summaries = [_summary(side.text, side.contender) for side in (vote.a, vote.b)]
    yield _info(vote, vote.prompt_id) | {
        "summaries": summaries,
        "choice": "ab".index(vote.verdict),
        "worker": vote.labeller,
    }


def _preference_row(record: Preference) -> Iterator[Row]:
    summaries = [_summary(text, UNKNOWN) for text in (record.chosen, record.rejected)]
    yield _info(record, record.prompt_id) | {"summaries": summaries, "choice": 0, "worker": None}


def _summary(text: str, policy: str) -> Row:
    return {"text": text, "policy": policy, "note": ""}


def _info(record: Asked, prompt_id: str) -> Row:
    """Return the post that `_request` makes a record's prompt of."""
    if record.history or not record.prompt.startswith(REQUEST):
        raise Dropped("the prompt does not ask for a summary as this format is read here")
    text = record.prompt.removeprefix(REQUEST)
    titled = re.match(r"Title: (.+?)\n\n", text, re.DOTALL)
    post = text[titled.end() :] if titled else text
    about = {"id": prompt_id or record.id, "post": post, "title": titled and titled[1], "subreddit": record.category}
    return {"info": about}


FORMATS = (
    Format(
        "summarize-from-feedback",
        "OpenAI's summary comparisons: `info`, two `summaries`, `choice`, `worker`",
        ComparisonRow,
        read={"votes": _vote},
        write={"votes": _vote_row, "preferences": _preference_row},
        cannot_hold="Batches, notes, confidences and white space around summaries are left out; workers become pseudonyms. Of "
        "ours, ids, criteria, strengths, reasons, times, weights and where a judgement comes from are left out; a category goes "
        "into `subreddit`; where a record names no prompt, its id becomes the prompt's; preferences name no policies. Ties, "
        "votes of models, and what does not ask for a summary in the words in which a post is read are not written.",
    ),
    Format(
        "summarize-from-feedback-axis",
        "OpenAI's ratings of single summaries: `info`, `summary` with `axes` (overall, accuracy, coverage, coherence)",
        RatedRow,
        read={"completions": _rated},
        cannot_hold="The ratings themselves are left out, and workers with them: summaries come as completions of their policies.",
    ),
)
