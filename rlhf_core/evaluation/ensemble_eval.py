"""How good several reward models are together, each by itself, and how often they disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rlhf_core.data.records import Ranking
from rlhf_core.evaluation.reward_eval import Array, collect_pairs, reward_report

Scores = Sequence[Sequence[float]]
MEMBER_FIELDS = ("accuracy", "kendall_tau", "calibration_error")


def ensemble_report(
    rankings: Sequence[Ranking], scores: Sequence[Scores], constants: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    """Return `reward_report` of the members' mean raw score, with `members` and `disagreement` beside it.

    `scores[m][i][j]` is member m's raw score of `rankings[i].completions[j]`; `constants[m]` are the `mean` and `sd` of
    its normalisation. `disagreement` holds the mean over completions of the standard deviation between normalised
    scores, the share of pairs that all members order alike, and the ensemble's accuracy on those and on the others.

    Raises:
        DataError: as `reward_report`.
    """
    mean = [[float(x) for x in np.mean(rows, axis=0)] for rows in zip(*scores, strict=True)]
    parts = [reward_report(rankings, mine) for mine in scores]
    return reward_report(rankings, mean) | {
        "members": [{name: part[name] for name in MEMBER_FIELDS} for part in parts],
        "disagreement": _disagreement(rankings, scores, mean, constants),
    }


def _disagreement(
    rankings: Sequence[Ranking], scores: Sequence[Scores], mean: Scores, constants: Sequence[Mapping[str, float]]
) -> dict[str, float | None]:
    flat = np.array([np.concatenate([np.asarray(row) for row in mine]) for mine in scores])
    level, spread = (np.array([c[name] for c in constants])[:, None] for name in ("mean", "sd"))
    signs = np.sign([collect_pairs(rankings, mine).margin for mine in scores])
    alike, correct = (signs == signs[0]).all(0), collect_pairs(rankings, mean).correct
    return {
        "sd": float(((flat - level) / spread).std(0).mean()),
        "agreed": float(alike.mean()),
        "accuracy_agreed": _mean(correct[alike]),
        "accuracy_other": _mean(correct[~alike]),
    }


def _mean(values: Array) -> float | None:
    return float(values.mean()) if len(values) else None
