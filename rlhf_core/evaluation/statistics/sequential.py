"""May I stop? An answer that holds however often one looks, and how many more prompts are likely needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from rlhf_core.errors import DataError
from rlhf_core.evaluation.statistics.betting import LIMIT, confidence_sequence, growth
from rlhf_core.evaluation.statistics.checks import Floats, codes_of, has_columns, has_votes

HORIZON = 5000
PATHS = 200
STRIDE = 10
SURELY = 100.0  # the log of a wealth that no exponential overflows on


@dataclass(frozen=True)
class Stopping:
    """Whether to stop: the interval after each prompt, the prompt that settled it (from 1), and what it says.

    `more` is the median number of further prompts until it is settled, if the scores go on as they were; None when
    it is settled, or when that takes more than `HORIZON`.
    """

    low: Floats
    high: Floats
    stopped_at: int | None
    verdict: Literal["contender is better", "baseline is better", "continue"]
    more: int | None


def may_i_stop(votes: pd.DataFrame, overlap: int = 1, seed: int = 0) -> Stopping:
    """Say whether votes settle who is better: whether the confidence sequence has left ½, at whatever moment one looks.

    Where both are equally good this says "better" with a probability of at most 5% over all looks together.
    See `prompt_scores` for what counts as one score, `confidence_sequence` for the interval.

    Raises:
        DataError: as `prompt_scores`.
    """
    scores = prompt_scores(votes, overlap)
    if not len(scores):
        return Stopping(scores, scores, None, "continue", None)
    low, high = confidence_sequence(scores)
    outside = np.flatnonzero((low >= 0.5) | (high <= 0.5))
    if not len(outside):
        return Stopping(low, high, None, "continue", more_prompts(scores, seed))
    first = int(outside[0])
    verdict = "contender is better" if low[first] >= 0.5 else "baseline is better"
    return Stopping(low, high, first + 1, verdict, None)


def prompt_scores(votes: pd.DataFrame, overlap: int = 1) -> Floats:
    """Return one score for each prompt with `overlap` votes, the mean of its first ones, in the order they got there.

    Votes on one prompt are not independent, so each prompt may speak once. The rule is fixed beforehand and looks at no
    verdict; to average whatever votes a prompt has so far would not be valid. `vote_id`, the place in the log,
    gives the order: a clock may be put back.

    Raises:
        DataError: as `win_rate`, `vote_id` is not there, or `overlap` is less than 1.
    """
    has_votes(votes)
    has_columns(votes, ("vote_id",))
    if overlap < 1:
        raise DataError("a prompt needs at least one vote", value=overlap, remedy="Give the planned votes per prompt")
    ordered = votes if votes["vote_id"].is_monotonic_increasing else votes.sort_values("vote_id", kind="stable")
    prompts, scores = codes_of(ordered["prompt_id"]), ordered["score"].to_numpy(float)
    turn = pd.Series(prompts).groupby(prompts).cumcount().to_numpy()
    counted = turn < overlap
    totals = np.bincount(prompts[counted], weights=scores[counted])
    return totals[prompts[turn == overlap - 1]] / overlap


def more_prompts(scores: Floats, seed: int = 0) -> int | None:
    """Return the median number of further prompts until ½ is excluded, in tens, or None above `HORIZON`.

    200 continuations are drawn from the scores so far, with one score of 0 and one of 1 added, so that a few votes that
    agree do not promise more than they know.
    """
    values, counts = np.unique(np.append(scores, [0.0, 1.0]), return_counts=True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(STRIDE, counts / counts.sum(), size=(HORIZON // STRIDE, PATHS))
    grown = np.tensordot(drawn, np.log(growth(values, 0.5)), axes=(2, 1)).cumsum(axis=0)
    so_far = np.log(growth(scores, 0.5)).sum(axis=1)
    settled = (np.exp(np.minimum(grown + so_far, SURELY)).mean(axis=-1) >= LIMIT).any(axis=2)
    median = float(np.median(np.where(settled.any(axis=0), settled.argmax(axis=0) + 1, np.inf)))
    return STRIDE * int(median) if np.isfinite(median) else None
