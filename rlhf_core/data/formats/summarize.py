"""OpenAI's summarize-from-feedback (Stiennon et al. 2020, arXiv 2009.01325): comparisons of two summaries, by named workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from rlhf_core.data.exchange.format import ForeignRow, Format, Reading
from rlhf_core.data.exchange.talk import asked
from rlhf_core.data.records import PairVote


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


def _vote(row: ComparisonRow, reading: Reading) -> Iterator[PairVote]:
    info = row.info
    text = info.post or info.article or ""
    title = f"Title: {info.title}\n\n" if info.title else ""
    about = asked([("user", f"Summarise this text.\n\n{title}{text}")], reading)
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
)
