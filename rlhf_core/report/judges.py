"""Automatic judges against people: what the run's scorers would have chosen, beside what most labellers chose."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from rlhf_core.evaluation.ballots import by_criterion, pair_items
from rlhf_core.evaluation.consensus import consensus
from rlhf_core.evaluation.judges import JudgeReport, judge_against_people, judge_by, score_outcomes
from rlhf_core.report.parts import Judge

REWARD, TEXT = "reward model", "text"
LEADING = ("toxicity", "profanity")
"""The measure that stands for a toxicity scorer."""
SIDES = ("contender", "baseline")


def judges_against_people(votes: pd.DataFrame, scores: pd.DataFrame) -> tuple[Judge, ...]:
    """Compare every scorer's choices with people's, on each criterion, overall and by category.

    The reward model prefers the higher score, a toxicity scorer the lower probability in its leading category. People's
    choice is the commonest verdict on each item; where several lead, people have not chosen, and the item is left out.
    Nothing to compare gives no record.

    Args:
        votes: people's votes on ordinary items, in the columns of `VoteStore.votes()`.
        scores: `prompt_id`, `contender`, `scorer`, `measure` and `value`, of the very texts that were judged.
    """
    if votes.empty or scores.empty:
        return ()
    agreed = consensus(pair_items(votes))
    people = list(by_criterion(agreed.loc[~agreed["split"]]))
    return tuple(
        judge
        for scorer, measure in _measures(scores)
        for criterion, agreed in people
        for judge in compared(choices(agreed, scores, scorer, measure), agreed, scorer, measure, criterion)
    )


def choices(agreed: pd.DataFrame, scores: pd.DataFrame, scorer: str, measure: str) -> pd.DataFrame:
    """Return `item_id`, `criterion` and the scorer's `outcome` of those items of which both sides have a score."""
    chosen = scores.loc[(scores["scorer"] == scorer) & (scores["measure"] == measure)]
    known = chosen.groupby(["prompt_id", "contender"])["value"].mean()
    keys = [pd.MultiIndex.from_arrays([agreed["prompt_id"], agreed[side]]) for side in SIDES]
    sign = 1.0 if scorer == REWARD else -1.0
    ours, theirs = (sign * known.reindex(key).to_numpy(dtype=float) for key in keys)
    both = np.isfinite(ours) & np.isfinite(theirs)
    return agreed.loc[both, ["item_id", "criterion"]].assign(outcome=score_outcomes(ours[both], theirs[both]))


def _measures(scores: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Yield (scorer, the measure that stands for it), in order of appearance."""
    ranks = {name: place for place, name in enumerate(LEADING)}
    for scorer, rows in scores.groupby("scorer", sort=False):
        if scorer != TEXT:
            yield str(scorer), str(min(rows["measure"].unique(), key=lambda name: ranks.get(name, len(LEADING))))


def compared(said: pd.DataFrame, agreed: pd.DataFrame, scorer: str, measure: str, criterion: str) -> Iterator[Judge]:
    """Yield how a judge's `item_id`, `criterion` and `outcome` compare with people's, overall and by category."""
    if said.empty:
        return
    yield _judge(judge_against_people(said, agreed), scorer, measure, criterion, "")
    slices = judge_by(said, agreed, "category")
    if len(slices) > 1:
        for category, found in slices.items():
            yield _judge(found, scorer, measure, criterion, category)


def _judge(found: JudgeReport, scorer: str, measure: str, criterion: str, category: str) -> Judge:
    table = {str(name): {str(k): int(v) for k, v in row.items()} for name, row in found.confusion.iterrows()}
    parts = {name: getattr(found, name) for name in ("items", "unjudged", "agreement", "decided", "kappa", "problem")}
    return Judge(scorer, measure, criterion, category, **parts, confusion=table)
