"""Who is how strong among several contenders: Bradley–Terry strengths with ties, and what the votes cannot tell."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from rlhf_core.errors import DataError
from rlhf_core.evaluation.statistics.checks import OUTCOMES, Codes, Floats, codes_of, has_votes
from rlhf_core.evaluation.statistics.connections import why_unplaced
from rlhf_core.evaluation.statistics.estimates import Estimate, t

ENOUGH = 10
"""Below this many prompts a spread over prompts says too little, and strengths come without an interval."""
CHUNK = 10
STEPS = 10_000
Flags = NDArray[np.bool_]
TIE, WON, LOST = 0, 1, 2  # evalica's names for outcomes, from the first contender's view


@dataclass(frozen=True)
class Ranking:
    """Contenders by strength: `strengths` in log odds against the mean of those ranked, strongest first.

    A contender p log odds above another is expected to win e^p times as many of their decided votes as it loses.
    `unplaced` says in words why a contender has no strength; `both_bad` is the share of a contender's votes that
    called both answers bad: they prefer nobody, and count in no strength. `tie` is ν, 0 without ties.
    """

    strengths: dict[str, Estimate]
    unplaced: dict[str, str]
    both_bad: dict[str, float]
    tie: float


@dataclass(frozen=True)
class _Table:
    """Equal comparisons counted: `first` against `second` ended as `outcome` in `counts` (rows, prompts)."""

    first: Codes
    second: Codes
    outcome: Codes
    counts: Any
    size: int
    prompts: int

    def among(self, placed: Flags) -> _Table:
        """Keep the comparisons among those placed, and number these anew."""
        chosen, number = placed[self.first] & placed[self.second], placed.cumsum() - 1
        pairs = number[self.first[chosen]], number[self.second[chosen]]
        return _Table(*pairs, self.outcome[chosen], self.counts[chosen], int(placed.sum()), self.prompts)


def bradley_terry(votes: pd.DataFrame, bootstrap: int = 200, seed: int = 0) -> Ranking:
    """Estimate the strength of every contender from votes on pairs of them, by maximum likelihood.

    P(i beats j) = π_i/(π_i + π_j + 2ν√(π_i π_j)) and a tie is the rest (Davidson 1970; Newman 2023, "Efficient
    computation of rankings from pairwise comparisons"); a strength is log π, their mean 0. Intervals are
    ± t_{G−1}·SD of strengths fitted again with exponential weights for the G prompts (the Bayesian bootstrap, Rubin
    1981): votes on one prompt, and the pairs of one ranking, stay together, and no prompt ever vanishes, so what the
    votes can place every replicate can.

    Raises:
        DataError: as `win_rate`, but several pairs of contenders are welcome; or so few votes link some contenders that
            the iteration does not settle.
    """
    has_votes(votes, pooled=("baseline", "contender"))
    names, table, both_bad = _tabulate(votes)
    unplaced = why_unplaced(names, *_won_and_tied(table))
    placed = np.array([name not in unplaced for name in names])
    if not placed.any():
        return Ranking({}, unplaced, both_bad, 0.0)
    kept = table.among(placed)
    log_strengths, tie = _fit(kept, kept.counts.sum(axis=1))
    groups, n = int((kept.counts.sum(axis=0) > 0).sum()), int(kept.counts.sum())
    half, method = np.full(kept.size, inf), f"none: fewer than {ENOUGH} prompts"
    if groups >= ENOUGH:
        half = t(groups - 1) * _bootstrap_sd(kept, bootstrap, seed)
        method = f"Bayesian bootstrap of prompts, {bootstrap} replicates"
    ranked = [name for name in names if name not in unplaced]
    strengths = {
        ranked[i]: Estimate(s := float(log_strengths[i]), s - float(half[i]), s + float(half[i]), n, groups, method)
        for i in np.argsort(-log_strengths, kind="stable")
    }
    return Ranking(strengths, unplaced, both_bad, tie)


def _tabulate(votes: pd.DataFrame) -> tuple[list[str], _Table, dict[str, float]]:
    sides = pd.concat([votes["contender"], votes["baseline"]], ignore_index=True)
    codes, labels = pd.factorize(sides, sort=True)
    names, (one, other) = [str(label) for label in labels], codes.reshape(2, -1)
    bad = votes["outcome"].to_numpy(object) == "both_bad"
    share = np.bincount(codes, weights=np.tile(bad, 2)) / np.bincount(codes)
    outcome = pd.Categorical(votes["outcome"], categories=OUTCOMES).codes
    result = np.select([outcome == 0, outcome == 1], np.where(one < other, [[WON], [LOST]], [[LOST], [WON]]), TIE)
    first, second = np.minimum(one, other), np.maximum(one, other)
    key = ((first * len(names) + second) * 3 + result)[~bad]
    found, row = np.unique(key, return_inverse=True)
    prompts = codes_of(votes["prompt_id"])
    shape = (len(found), int(prompts.max()) + 1)
    counts = sparse.csr_array(sparse.coo_array((np.ones(len(row)), (row, prompts[~bad])), shape=shape))
    pair = found // 3
    table = _Table(pair // len(names), pair % len(names), found % 3, counts, len(names), shape[1])
    return names, table, dict(zip(names, share.tolist(), strict=True))


def _won_and_tied(table: _Table) -> tuple[Codes, Codes]:
    """Return the kinds of votes there are, as (winner, loser) and as (one, other): (2, kinds) each."""
    pairs, won = np.stack([table.first, table.second]), table.outcome == WON
    lost, tied = table.outcome == LOST, table.outcome == TIE
    return np.hstack([pairs[:, won], pairs[::-1, lost]]), pairs[:, tied]


def _fit(table: _Table, weights: Floats) -> tuple[Floats, float]:
    """Return log strengths, mean 0, and ν. Newman's iteration needs ties; without any, ν is 0 and it is Bradley–Terry's."""
    import evalica

    arguments = (table.first.tolist(), table.second.tolist(), table.outcome.tolist())
    settings = {"index": pd.RangeIndex(table.size), "weights": weights.tolist(), "tolerance": 1e-8, "limit": STEPS}
    tied = bool((table.outcome == TIE).any())
    result = (evalica.newman if tied else evalica.bradley_terry)(*arguments, **settings)
    if result.iterations >= STEPS:
        raise DataError(
            f"strengths did not settle in {STEPS} steps", remedy="Judge more pairs that link the contenders"
        )
    strengths = np.log(result.scores.sort_index().to_numpy())
    return strengths - strengths.mean(), float(getattr(result, "v", 0.0))


def _bootstrap_sd(table: _Table, replicates: int, seed: int) -> Floats:
    rng, found = np.random.default_rng(seed), []
    for start in range(0, replicates, CHUNK):
        weights = rng.standard_exponential((table.prompts, min(CHUNK, replicates - start)))
        found += [_fit(table, column)[0] for column in (table.counts @ weights).T]
    return np.std(found, axis=0, ddof=1)
