"""Made-up voters whose true win rate is known: prompts, ties, labellers who differ, careless ones, sides, lengths."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

Floats = np.ndarray[Any, np.dtype[np.float64]]
OUTCOMES = np.array(["baseline", "tie", "both_bad", "contender"])


@dataclass(frozen=True)
class Voters:
    """Who votes on what. `prompts` are judged by `overlap` of `labellers` each; the contender's true score is `score`.

    `ties` and `both_bad` are shares of all votes; `correlation` is that of two votes on one prompt; labellers' own scores
    lie evenly around `score` with the standard deviation `tilt`, and `uneven` ones give very different numbers of votes.
    A vote is `careless` (a coin) or for side A whatever it shows (`side_a`) with these probabilities. `length` is what
    one standard deviation of length adds to the log odds; the contender is longer by `longer` standard deviations.
    """

    prompts: int
    overlap: int = 1
    labellers: int = 1
    score: float = 0.55
    ties: float = 0.2
    both_bad: float = 0.1
    correlation: float = 0.3
    tilt: float = 0.0
    uneven: bool = False
    careless: float = 0.0
    side_a: float = 0.0
    length: float = 0.0
    longer: float = 0.0

    @property
    def undecided(self) -> float:
        """The share of ties and both bad together, before careless votes."""
        return self.ties + self.both_bad

    @property
    def equal_length(self) -> float:
        """The contender's true share of decided votes at equal length."""
        return (self.score - self.undecided / 2) / (1 - self.undecided)


def simulate(voters: Voters, rng: np.random.Generator) -> tuple[pd.DataFrame, float]:
    """Draw votes in the order they arrive; return them and how far these labellers, as often as here, lie off `score`."""
    prompt, labeller = _who(voters, rng)
    tilts = sqrt(3) * voters.tilt * rng.uniform(-1, 1, voters.labellers)
    difference = rng.normal(voters.longer, 1.0, voters.prompts)[prompt]
    odds = special.logit(voters.equal_length) + voters.length * difference
    won = (1 - voters.undecided) * special.expit(odds) + tilts[labeller]
    drawn = _correlated(voters, prompt, rng)
    edges = np.stack([1 - voters.undecided - won, 1 - won - voters.both_bad, 1 - won])
    outcome = (drawn >= edges).sum(axis=0)
    side_is_a = rng.random(len(prompt)) < 0.5
    astray, coin = rng.random(len(prompt)), rng.random(len(prompt)) < 0.5
    outcome = np.where(astray < voters.careless, 3 * coin, outcome)
    outcome = np.where(astray >= 1 - voters.side_a, 3 * side_is_a, outcome)
    frame = pd.DataFrame(
        {
            "prompt_id": prompt,
            "labeller": labeller,
            "baseline": "base",
            "contender": "tuned",
            "outcome": OUTCOMES[outcome],
            "score": np.array([0.0, 0.5, 0.5, 1.0])[outcome],
            "contender_side": np.where(side_is_a, "a", "b"),
            "simulated": False,
            "vote_id": np.arange(len(prompt)),
            "length_difference": difference,
        }
    )
    return frame, float(tilts[labeller].mean())


def truth(voters: Voters, tilt: float = 0.0) -> dict[str, float]:
    """Return what infinitely many prompts would give: by labellers that lie `tilt` off, or by all of this kind."""
    heard = 1 - voters.careless - voters.side_a
    points, weights = np.polynomial.hermite_e.hermegauss(40)
    odds = special.logit(voters.equal_length) + voters.length * (voters.longer + points)
    won = (1 - voters.undecided) * float(special.expit(odds) @ weights) / float(weights.sum()) + tilt
    decided = heard * (1 - voters.undecided) + 1 - heard
    return {
        "win rate": heard * (won + voters.undecided / 2) + (1 - heard) / 2,
        "contender": heard * won + (1 - heard) / 2,
        "baseline": heard * (1 - voters.undecided - won) + (1 - heard) / 2,
        "tie": heard * voters.ties,
        "both_bad": heard * voters.both_bad,
        "side A": 0.5 + voters.side_a / 2 / decided,
        "equal length": voters.equal_length,
    }


def _who(voters: Voters, rng: np.random.Generator) -> tuple[Any, Any]:
    """Return the prompt and the labeller of each vote, in random order; nobody judges a prompt twice."""
    activity = rng.exponential(1.0, voters.labellers) + 0.1 if voters.uneven else np.ones(voters.labellers)
    waits = rng.exponential(1.0, (voters.prompts, voters.labellers)) / activity
    labeller = np.argsort(waits, axis=1)[:, : voters.overlap].ravel()
    prompt = np.repeat(np.arange(voters.prompts), voters.overlap)
    order = rng.permutation(len(prompt))
    return prompt[order], labeller[order]


def _correlated(voters: Voters, prompt: Any, rng: np.random.Generator) -> Floats:
    """Draw uniform numbers, a prompt's common one with probability √ρ, so that two of one prompt correlate by ρ."""
    common = rng.random(voters.prompts)[prompt]
    return np.where(rng.random(len(prompt)) < sqrt(voters.correlation), common, rng.random(len(prompt)))
