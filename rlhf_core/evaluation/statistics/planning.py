"""How many votes? For a fixed number, for stopping when it is settled, and how many more while voting."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
import pandas as pd
from scipy import special

from rlhf_core.errors import DataError
from rlhf_core.evaluation.statistics.betting import FRACTIONS, LIMIT, growth
from rlhf_core.evaluation.statistics.checks import Floats, codes_of, has_votes
from rlhf_core.evaluation.statistics.estimates import MIN_CLUSTERS, cluster_spread, t, z

POWER = 0.8
LOOKS = 5000
PATHS = 1000


@dataclass(frozen=True)
class Expected:
    """What one expects of the votes to come.

    `score` is the contender's (win 1, tie or both bad ½), `ties` the share of ties and both bad together, `overlap` the
    votes on each prompt, and `correlation` that of two votes on one prompt (0: as different as votes on two prompts).

    Raises:
        DataError: no such votes can be, or a score of ½, which no number of votes tells from ½.
    """

    score: float
    ties: float = 0.0
    overlap: int = 1
    correlation: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not (0 <= self.ties < 1 and self.ties / 2 <= self.score <= 1 - self.ties / 2):
            raise DataError(
                f"a score of {self.score:g} cannot be with {self.ties:.0%} ties",
                remedy="A score lies from half the share of ties to one less that half",
            )
        if self.overlap < 1 or not 0 <= self.correlation <= 1:
            raise DataError("overlap is at least 1 and correlation from 0 to 1", value=[self.overlap, self.correlation])
        if self.score == 0.5:
            raise DataError("no number of votes tells ½ from ½", remedy="Give the smallest difference that matters")

    @property
    def variance(self) -> float:
        """Var of one vote's score, s(1−s) − τ/4 for a score s and a share of ties τ."""
        return self.score * (1 - self.score) - self.ties / 4

    @property
    def design_effect(self) -> float:
        """How many votes on prompts judged by several say as much as one alone, 1 + (k−1)·ρ (Kish 1965)."""
        return 1 + (self.overlap - 1) * self.correlation


@dataclass(frozen=True)
class Plan:
    """`prompts` to judge, and the `votes` this takes."""

    prompts: int
    votes: int


def votes_needed(expected: Expected, power: float = POWER) -> Plan:
    """Return the fixed number of votes after which the 95% interval excludes ½ with probability `power`.

    G prompts, each with k votes, of variance v = (s(1−s) − τ/4)·(1 + (k−1)ρ)/k:
    G = (t_{G−1}·√(v/4s(1−s)) + z_power·√v)²/(s − ½)². Its first term is the Wilson interval's: at ½ it takes ¼ where the
    votes' variance has s(1−s).
    """
    variance = expected.variance * expected.design_effect / expected.overlap
    prompts = _prompts(expected.score, variance, power)
    return Plan(prompts, prompts * expected.overlap)


def votes_until_settled(expected: Expected, share: float = POWER, seed: int = 0) -> Plan:
    """Return the votes after which `may_i_stop` has stopped in a `share` of 1,000 simulated judgings.

    One who looks after every prompt needs more for certain, but stops early when the difference turns out larger.

    Raises:
        DataError: more than 5,000 prompts are needed.
    """
    rng, purses = np.random.default_rng(seed), np.ones((2, PATHS, len(FRACTIONS)))
    stopped = np.zeros(PATHS, dtype=bool)
    for prompt in range(1, LOOKS + 1):
        purses *= np.where(stopped[:, None], 1.0, growth(simulated_scores(expected, PATHS, rng), 0.5))
        stopped |= (purses.mean(axis=-1) >= LIMIT).any(axis=0)
        if stopped.mean() >= share:
            return Plan(prompt, prompt * expected.overlap)
    raise DataError(
        f"more than {LOOKS} prompts are needed", remedy="Expect a larger difference, or plan a fixed number"
    )


def simulated_scores(expected: Expected, prompts: int, rng: np.random.Generator) -> Floats:
    """Draw the mean score of each of `prompts`: every vote is the prompt's common one with probability √ρ, else its own.

    Two votes on one prompt then have the correlation ρ, and each by itself the expected shares exactly.
    """
    loss, tie = 1 - expected.score - expected.ties / 2, expected.ties
    own = rng.random((prompts, expected.overlap))
    common = rng.random((prompts, 1))
    drawn = np.where(rng.random(own.shape) < sqrt(expected.correlation), common, own)
    return (0.5 * (drawn >= loss) + 0.5 * (drawn >= loss + tie)).mean(axis=1)


def more_votes(votes: pd.DataFrame, power: float = POWER) -> Plan | None:
    """Return how many more prompts and votes a fixed plan needs, if the score and its spread are what they seem now.

    Zero when there are enough already. None while the votes say nothing: fewer than three prompts, or a score of ½.

    Raises:
        DataError: as `win_rate`.
    """
    has_votes(votes)
    x, prompts = votes["score"].to_numpy(float), codes_of(votes["prompt_id"])
    groups, score = int(prompts.max()) + 1, float(x.mean())
    if groups < MIN_CLUSTERS or score == 0.5:
        return None
    more = max(0, _prompts(score, groups * cluster_spread(x, prompts).variance, power) - groups)
    return Plan(more, ceil(more * len(x) / groups))


def _prompts(score: float, variance: float, power: float) -> int:
    """Return G for a variance of one prompt's mean score; t_{G−1} takes G from the normal distribution's."""
    at_half = sqrt(variance / (4 * score * (1 - score))) if 0 < score < 1 else 0.5
    reserve = float(special.ndtri(power)) * sqrt(variance)

    def enough(quantile: float) -> int:
        return max(MIN_CLUSTERS, ceil(((quantile * at_half + reserve) / (score - 0.5)) ** 2))

    return enough(t(enough(z()) - 1))
