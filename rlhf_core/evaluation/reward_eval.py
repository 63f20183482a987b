"""How good is a reward model: accuracy, calibration, rank agreement and length bias on held-out rankings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import kendalltau

from rlhf_core.data.records import Ranking
from rlhf_core.errors import DataError
from rlhf_core.evaluation.statistics import accuracy_interval

Array = NDArray[Any]
CALIBRATION_BINS = 10
MARGIN_BINS = 4


@dataclass(frozen=True)
class ScoredPairs:
    """All pairs of all rankings, one entry each: score margin chosen − rejected, and the pair's prompt and lengths."""

    margin: Array
    prompt: Array
    category: Array
    longer: Array
    """Characters by which the chosen text is longer than the rejected one; negative when it is shorter."""

    @property
    def correct(self) -> Array:
        """1 where the chosen response scores higher, ½ for equal scores, else 0."""
        return (np.sign(self.margin) + 1) / 2


def reward_report(rankings: Sequence[Ranking], scores: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Compare scores with human rankings: the content of `evaluation/reward_model.json` but its normalisation and name.

    `scores[i][j]` is the raw score (before normalisation, so that the sigmoid of a margin is a probability) of
    `rankings[i].completions[j]`. Intervals are 95% and clustered by ranked prompt.

    Raises:
        DataError: scores that do not match the rankings or are not numbers, or no pair to compare.
    """
    pairs = collect_pairs(rankings, scores)
    accuracy = accuracy_interval(pairs.correct, pairs.prompt)
    error, reliability = calibration(pairs.margin)
    return {
        "n_pairs": accuracy.n,
        "n_prompts": accuracy.clusters,
        "accuracy": {"value": accuracy.value, "low": accuracy.low, "high": accuracy.high},
        "kendall_tau": kendall_tau(rankings, scores),
        "calibration_error": error,
        "reliability": reliability,
        "margin_bins": _margin_bins(pairs),
        "length": _length(pairs, rankings, scores),
        "by_category": _by_category(pairs),
    }


def collect_pairs(rankings: Sequence[Ranking], scores: Sequence[Sequence[float]]) -> ScoredPairs:
    """Return every pair (chosen above rejected in the ranking) with its score margin; tied completions form none.

    Raises:
        DataError: as `reward_report`.
    """
    if len(rankings) != len(scores):
        raise DataError(f"{len(scores)} lists of scores for {len(rankings)} rankings", where="reward_report")
    rows = [row for ranking, mine in zip(rankings, scores, strict=True) for row in _pairs_of(ranking, mine)]
    if not rows:
        raise DataError("no pair to compare", where="reward_report", remedy="Every held-out ranking is all ties")
    margin, prompt, category, longer = zip(*rows, strict=True)
    return ScoredPairs(np.array(margin), np.array(prompt), np.array(category), np.array(longer))


def calibration(margins: Array) -> tuple[float, list[dict[str, float]]]:
    """Compare how sure the model is of its preference with how often it is right.

    confidence = sigmoid(|margin|) lies in [½, 1], cut into ten equal bins; the error is Σ_bins n_b/n · |accuracy_b −
    confidence_b| (expected calibration error; Guo et al. 2017). Empty bins are left out.
    """
    confidence, correct = expit(np.abs(margins)), (np.sign(margins) + 1) / 2
    edges = np.linspace(0.5, 1.0, CALIBRATION_BINS + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="right") - 1, 0, CALIBRATION_BINS - 1)
    bins = [
        {
            "low": float(edges[b]),
            "high": float(edges[b + 1]),
            "confidence": float(confidence[place == b].mean()),
            "accuracy": float(correct[place == b].mean()),
            "n": int((place == b).sum()),
        }
        for b in np.unique(place)
    ]
    return float(sum(b["n"] * abs(b["accuracy"] - b["confidence"]) for b in bins) / len(margins)), bins


def kendall_tau(rankings: Sequence[Ranking], scores: Sequence[Sequence[float]]) -> float | None:
    """Return the mean over prompts of Kendall's τ-b between scores and ranking; None when no prompt has one.

    A prompt whose completions all share one place, or one score, has no τ and is left out.
    """
    taus = []
    for ranking, mine in zip(rankings, scores, strict=True):
        places = _places(ranking)
        if len(set(places)) > 1 and len(set(mine)) > 1:
            taus.append(kendalltau([-place for place in places], mine, variant="b")[0])
    return float(np.mean(taus)) if taus else None


def _places(ranking: Ranking) -> list[int]:
    """Return each completion's place, best 0, in the order of `ranking.completions`."""
    place = {name: n for n, group in enumerate(ranking.ranking) for name in group}
    return [place[completion.id] for completion in ranking.completions]


def _pairs_of(ranking: Ranking, scores: Sequence[float]) -> list[tuple[float, str, str, int]]:
    if len(scores) != len(ranking.completions) or not np.isfinite(scores).all():
        raise DataError(
            f"expected {len(ranking.completions)} finite scores", where=f"ranking {ranking.id}", value=list(scores)
        )
    places = _places(ranking)
    lengths = [len(completion.text) for completion in ranking.completions]
    rows = []
    for i, j in combinations(range(len(places)), 2):
        if places[i] != places[j]:
            best, worst = (i, j) if places[i] < places[j] else (j, i)
            margin, longer = float(scores[best] - scores[worst]), lengths[best] - lengths[worst]
            rows.append((margin, ranking.id, ranking.category, longer))
    return rows


def _margin_bins(pairs: ScoredPairs) -> list[dict[str, float]]:
    """Cut the pairs into four equal parts by |margin|: does a larger margin mean a surer answer?"""
    order = np.argsort(np.abs(pairs.margin), kind="stable")
    parts = [part for part in np.array_split(order, MARGIN_BINS) if len(part)]
    size = np.abs(pairs.margin)
    return [
        {
            "low": float(size[part[0]]),
            "high": float(size[part[-1]]),
            "accuracy": float(pairs.correct[part].mean()),
            "n": len(part),
        }
        for part in parts
    ]


def _length(
    pairs: ScoredPairs, rankings: Sequence[Ranking], scores: Sequence[Sequence[float]]
) -> dict[str, float | None]:
    """Say how often people chose the longer text, and how score goes with length among completions of one prompt."""
    differ = pairs.longer != 0
    centred_score = np.concatenate([np.asarray(mine, dtype=float) - np.mean(mine) for mine in scores])
    lengths = [np.array([len(c.text) for c in ranking.completions], dtype=float) for ranking in rankings]
    centred_length = np.concatenate([mine - mine.mean() for mine in lengths])
    spread = centred_score.std() * centred_length.std()
    return {
        "longer_wins": float((pairs.longer[differ] > 0).mean()) if differ.any() else None,
        "score_length_correlation": float((centred_score * centred_length).mean() / spread) if spread else None,
    }


def _by_category(pairs: ScoredPairs) -> list[dict[str, Any]]:
    rows = []
    for category in np.unique(pairs.category):
        mine = pairs.category == category
        estimate = accuracy_interval(pairs.correct[mine], pairs.prompt[mine])
        row = {"category": str(category), "accuracy": estimate.value, "low": estimate.low, "high": estimate.high}
        rows.append(row | {"n_pairs": estimate.n, "n_prompts": estimate.clusters})
    return rows
