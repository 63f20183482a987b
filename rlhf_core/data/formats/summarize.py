"""OpenAI's summarize-from-feedback (Stiennon et al. 2020, arXiv 2009.01325): comparisons of two summaries, ratings of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from rlhf_core.data.exchange.format import ForeignRow, Format, Reading
from rlhf_core.data.exchange.talk import asked
from rlhf_core.data.records import ContenderCompletion, PairVote


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
    policy: str = "unknown"


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
    return f"Summarise this text.\n\n{title}{info.post or info.article or ''}"


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
        "labeller": reading.pseudonym(row.worker) if row.worker else "unknown",
        "prompt_id": info.id,
        "category": info.subreddit or "",
    }
    yield PairVote.model_validate(about | answers | rest)


FORMATS = (
    Format(
        "summarize-from-feedback",
        "OpenAI's summary comparisons: `info`, two `summaries`, `choice`, `worker`",
        ComparisonRow,
        read={"votes": _vote},
        cannot_hold="Batches, notes and confidences are left out; workers become pseudonyms.",
    ),
    Format(
        "summarize-from-feedback-axis",
        "OpenAI's ratings of single summaries: `info`, `summary` with `axes` (overall, accuracy, coverage, coherence)",
        RatedRow,
        read={"completions": _rated},
        cannot_hold="The ratings themselves are left out, and workers with them: summaries come as completions of their policies.",
    ),
)
