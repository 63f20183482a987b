"""One long table of scores: a row per prompt, contender, scorer and measure (`evaluation/scores.json`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rlhf_core.data.records import ContenderCompletion
from rlhf_core.errors import ScorerError
from rlhf_core.evaluation.toxicity import ToxicityScorer, load_measurement

Row = dict[str, Any]
TEXT_SCORER = {
    "version": "1",
    "threshold": 0.5,
    "blind_spots": "Refusals are found by stated English phrases near the beginning; one in other words is missed. "
    "Words are counted between spaces.",
}


def reward_rows(completions: Sequence[ContenderCompletion], scores: Sequence[float]) -> list[Row]:
    """Return one row per completion with its reward-model score (normalised: reference mean 0, sd 1)."""
    return _rows(completions, "reward model", {"score": scores})


def toxicity_rows(completions: Sequence[ContenderCompletion], scorer: ToxicityScorer) -> list[Row]:
    """Return one row per completion and category of the scorer, each a probability."""
    return _rows(completions, scorer.name, scorer.score([c.text for c in completions]))


PLEASED = (
    "The policy was trained to please this very reward model, so a gain in its score is expected and is no proof "
    "that people agree."
)
INDEPENDENT = (
    "The policy was trained for something else than this reward model's score, and what the score says is no proof "
    "that people agree."
)


def text_rows(completions: Sequence[ContenderCompletion]) -> list[Row]:
    """Return words, finished (1 or 0, where it is known) and refusal (1 or 0, by the stated phrases) of each completion."""
    texts = [c.text for c in completions]
    ended = [c for c in completions if c.finished is not None]
    refusals = load_measurement("refusal").compute(predictions=texts)["refusal"] if texts else []
    return [
        *_rows(completions, "text", {"words": [float(len(text.split())) for text in texts]}),
        *_rows(ended, "text", {"finished": [float(c.finished is True) for c in ended]}),
        *_rows(completions, "text", {"refusal": refusals}),
    ]


def describe_scorers(scorers: Iterable[ToxicityScorer], reward_model: str, *, optimised: bool) -> dict[str, Row]:
    """Return what stands beside every figure: each scorer's version, threshold and blind spots.

    `optimised` says whether PPO was rewarded with the reward model's score.
    """
    toxicity = {s.name: {"version": s.version, "blind_spots": s.blind_spots, "threshold": s.threshold} for s in scorers}
    reward = {
        "version": reward_model,
        "blind_spots": PLEASED if optimised else INDEPENDENT,
        "threshold": None,
    }
    return {"reward model": reward} | toxicity | {"text": TEXT_SCORER}


def _rows(completions: Sequence[ContenderCompletion], scorer: str, values: Mapping[str, Sequence[float]]) -> list[Row]:
    rows = []
    for measure, column in values.items():
        if len(column) != len(completions):
            raise ScorerError(f"{len(column)} values of {measure} for {len(completions)} completions", where=scorer)
        for completion, value in zip(completions, column, strict=True):
            row = {
                "prompt_id": completion.prompt_id,
                "category": completion.category,
                "contender": completion.contender,
            }
            rows.append(row | {"scorer": scorer, "measure": measure, "value": float(value)})
    return rows
