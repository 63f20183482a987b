"""LLM Comparator's files (Kahng et al. 2024, arXiv 2402.10524): one document of examples, each with its raters' scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from statistics import mean
from typing import Any

from pydantic import Field

from rlhf_core.data.exchange.format import ForeignRow, Format, Reading, Row
from rlhf_core.data.exchange.sides import two_contenders
from rlhf_core.data.exchange.talk import asked
from rlhf_core.data.records import PairVote, transcript

STEP = 0.5  # of the score for each step of strength
CLEAR = 2  # the strength of a vote that says none


class Model(ForeignRow):
    """One side."""

    name: str


class RaterScore(ForeignRow):
    """One judgement: above 0 the first answer is better, whichever of the two the rater saw first."""

    score: float = Field(allow_inf_nan=False)
    rationale: str = ""
    rating_label: str = ""
    is_flipped: bool = False


class Example(ForeignRow):
    """One prompt with two answers."""

    input_text: str
    output_text_a: str
    output_text_b: str
    score: float | None = Field(default=None, allow_inf_nan=False)
    tags: list[str] = Field(default=[])
    individual_rater_scores: list[RaterScore] = Field(default=[])


class ComparisonDocument(ForeignRow):
    """A whole file."""

    metadata: dict[str, Any]
    models: list[Model] = Field(min_length=2, max_length=2)
    examples: list[Example]


def _votes(row: ComparisonDocument, reading: Reading) -> Iterator[PairVote]:
    first, second = (model.name for model in row.models)
    for number, example in enumerate(row.examples, 1):
        prompt_id = f"{reading.id}-{number}"
        about = asked([("user", example.input_text)], reading)
        answers = {
            "a": {"contender": first, "text": example.output_text_a},
            "b": {"contender": second, "text": example.output_text_b},
        }
        scores = example.individual_rater_scores
        if not scores and example.score is not None:
            scores = [RaterScore(score=example.score)]
        if not scores:
            reading.notes["an example without a score was passed over"] += 1
        for rater, given in enumerate(scores, 1):
            rest = {
                "id": f"{prompt_id}-{rater}",
                "prompt_id": prompt_id,
                "verdict": "tie" if given.score == 0 else "a" if given.score > 0 else "b",
                "strength": min(3, max(1, round(abs(given.score) / STEP))) if given.score else None,
                "labeller": f"rater-{rater}",
                "reason": given.rationale,
                "category": example.tags[0] if example.tags else "",
                "automatic": True,
            }
            yield PairVote.model_validate(about | answers | rest)


def document(votes: Iterable[PairVote], _: Counter[str]) -> Iterator[Row]:
    """Yield the one document that all votes make; votes on the same two answers are one example's.

    Raises:
        DataError: there are more than two contenders.
    """
    rows = sorted(votes, key=_item)
    names = two_contenders(rows, "LLM Comparator")
    yield {
        "metadata": {"source_path": "rlhf-studio", "custom_fields_schema": []},
        "models": [{"name": name} for name in names],
        "examples": [_example(list(group), names[0]) for _, group in groupby(rows, _item)],
        "rationale_clusters": [],
    }


def _item(vote: PairVote) -> tuple[str, str, str, str]:
    texts = {side.contender: side.text for side in (vote.a, vote.b)}
    first, last = min(texts), max(texts)
    return vote.prompt_id or vote.id, transcript(vote.conversation), texts[first], texts[last]


def _example(votes: list[PairVote], first: str) -> Row:
    _, prompt, text_a, text_b = _item(votes[0])
    scores = [_rater_score(vote, first) for vote in votes]
    return {
        "input_text": prompt,
        "tags": [votes[0].category] if votes[0].category else [],
        "output_text_a": text_a,
        "output_text_b": text_b,
        "score": mean(score["score"] for score in scores),
        "individual_rater_scores": scores,
        "custom_fields": {},
        "rationale_list": [],
    }


def _rater_score(vote: PairVote, first: str) -> Row:
    flipped = vote.a.contender != first
    size = STEP * (vote.strength or CLEAR) * {"a": 1, "b": -1, "tie": 0, "both_bad": 0}[vote.verdict]
    label = "same" if not size else "A is better" if size > 0 else "B is better"  # as the rater saw them
    score = -size if flipped else size
    return {"is_flipped": flipped, "score": score + 0.0, "rating_label": label, "rationale": vote.reason}


FORMATS = (
    Format(
        "llm-comparator",
        "LLM Comparator's document: `metadata`, two `models`, `examples` with raters' scores",
        ComparisonDocument,
        read={"votes": _votes},
        join={"votes": document},
        document=True,
        cannot_hold="Ids, who judged, when, and by which criterion are left out; turns become one text, two bad answers a tie, and "
        "the answers of one model stand on one side. A vote without a strength comes back with 2, a tie without one. Its "
        "raters are models, so votes read from it are marked as automatic.",
    ),
)
