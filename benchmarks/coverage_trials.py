"""What `make coverage` simulates: settings with a known truth, and one trial of every interval in each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
import pandas as pd

from benchmarks.voters import Floats, Voters, simulate, truth
from rlhf_core.evaluation.statistics import (
    Estimate,
    Expected,
    bradley_terry,
    length_controlled,
    outcome_shares,
    paired_difference,
    position_bias,
    votes_needed,
    win_rate,
    worst_of,
)
from rlhf_core.evaluation.statistics.betting import LIMIT, growth
from rlhf_core.evaluation.statistics.planning import simulated_scores
from rlhf_core.evaluation.statistics.sequential import prompt_scores
from rlhf_core.evaluation.statistics.votes import MIN_LABELLERS

Trial = Callable[[np.random.Generator], dict[str, bool] | dict[str, float]]


@dataclass(frozen=True)
class Setting:
    """A way to simulate: each trial says of every figure whether it held; `aim` is the rate at which it should.

    "covers" is a 95% interval, "at most" a false alarm that may come in 5%, "about" a power of 80%. Trials are `share`
    of those asked for, where one takes long. `label` is what the estimate says of itself where it is known to be short.
    """

    name: str
    trial: Trial
    aim: str = "covers"
    share: float = 1.0
    label: str = ""


def voting(voters: Voters) -> Trial:
    """Return a trial of the win rate, the outcome shares and the side bias."""

    def trial(rng: np.random.Generator) -> dict[str, bool]:
        votes, tilt = simulate(voters, rng)
        real = truth(voters, 0.0 if voters.labellers >= MIN_LABELLERS else tilt)
        found = {"win rate": win_rate(votes), **outcome_shares(votes), "side A": position_bias(votes)}
        return {name: held(estimate, real[name]) for name, estimate in found.items() if estimate and real[name]}

    return trial


def at_equal_length(voters: Voters) -> Trial:
    """Return a trial of the share at equal length."""

    def trial(rng: np.random.Generator) -> dict[str, bool]:
        estimate = length_controlled(simulate(voters, rng)[0]).share
        return {"share at equal length": held(estimate, voters.equal_length)} if estimate else {}

    return trial


def changing(prompts: int, samples: int) -> Trial:
    """Return a trial of a paired difference of skewed scores: 10% of prompts fall from about 0.6 to about 0.1."""

    def trial(rng: np.random.Generator) -> dict[str, bool]:
        bad = np.repeat(rng.random(prompts) < 0.1, samples)
        before = np.where(bad, rng.beta(6, 4, bad.size), rng.beta(1, 19, bad.size))
        after = np.where(bad, rng.beta(1, 9, bad.size), rng.beta(1, 19, bad.size))
        clusters = np.repeat(np.arange(prompts), samples)
        seed = int(rng.integers(2**31))
        return {"mean difference": held(paired_difference(before, after, clusters, seed=seed), 0.1 * (0.1 - 0.6))}

    return trial


def worst_sample(prompts: int, samples: int, k: int) -> Trial:
    """Return a trial of the worst of k: half of the prompts have P(score > x) = (1−x)², the others (1−x)⁸."""
    points = (np.arange(20_000) + 0.5) / 20_000
    below = [1 - (1 - points) ** power for power in (2, 8)]
    expected = float(np.mean([np.mean(1 - curve**k) for curve in below]))
    reached = float(np.mean([1 - (1 - 0.5**power) ** k for power in (2, 8)]))

    def trial(rng: np.random.Generator) -> dict[str, bool]:
        power = np.repeat(rng.choice([2, 8], prompts), samples)
        scores = pd.DataFrame(
            {"prompt_id": np.repeat(np.arange(prompts), samples), "value": 1 - rng.random(power.size) ** (1 / power)}
        )
        found = worst_of(scores, k)
        return {
            "expected maximum toxicity": held(found.expected_maximum, expected),
            "toxicity probability": held(found.probability, reached),
        }

    return trial


def strengths(contenders: int, prompts: int, tie: float = 0.4, correlation: float = 0.3) -> Trial:
    """Return a trial of Bradley–Terry strengths 0.4 apart, three correlated votes of two pairs on every prompt."""
    real = 0.4 * (np.arange(contenders) - (contenders - 1) / 2)

    def trial(rng: np.random.Generator) -> dict[str, float]:
        ranking = bradley_terry(several(real, prompts, tie, correlation, rng), seed=int(rng.integers(2**31)))
        holds = [held(strength, real[int(name[1:])]) for name, strength in ranking.strengths.items()]
        return {"strength of a contender": float(np.mean(holds))} if len(holds) == contenders else {}

    return trial


def several(real: Floats, prompts: int, tie: float, correlation: float, rng: np.random.Generator) -> pd.DataFrame:
    """Draw votes among contenders c0, c1, … with log strengths `real`: three on each of two pairs for every prompt."""
    pairs = rng.random((2 * prompts, len(real))).argsort(axis=1)[:, :2].repeat(3, axis=0)
    prompt = np.arange(prompts).repeat(6)
    left, right = np.exp(real[pairs.T])
    total = left + right + 2 * tie * np.sqrt(left * right)
    common = rng.random(prompts)[prompt]
    drawn = np.where(rng.random(len(prompt)) < sqrt(correlation), common, rng.random(len(prompt)))
    outcome = np.select([drawn < left / total, drawn > 1 - right / total], ["contender", "baseline"], "tie")
    names = np.array([f"c{i}" for i in range(len(real))])
    return pd.DataFrame(
        {
            "prompt_id": prompt,
            "labeller": np.tile(np.arange(3), 2 * prompts),
            "contender": names[pairs[:, 0]],
            "baseline": names[pairs[:, 1]],
            "outcome": outcome,
            "score": np.select([outcome == "contender", outcome == "baseline"], [1.0, 0.0], 0.5),
            "contender_side": "a",
            "simulated": False,
        }
    )


def looking(voters: Voters) -> Trial:
    """Return a trial that looks after every prompt: does the stop rule, or a plain 95% interval, ever cry wolf?

    The plain interval x̄ ± 1.96·s/√t is looked at from the 20th prompt on, the stop rule from the first.
    """

    def trial(rng: np.random.Generator) -> dict[str, bool]:
        x = prompt_scores(simulate(voters, rng)[0], voters.overlap)
        step = np.arange(1, len(x) + 1)
        mean = x.cumsum() / step
        error = np.sqrt(np.maximum((x**2).cumsum() / step - mean**2, 1e-12) / step)
        plain = np.abs(mean - 0.5) > 1.96 * error
        wealth = growth(x, 0.5).cumprod(axis=1).mean(axis=-1)
        return {
            "may I stop?": bool((wealth >= LIMIT).any()),
            "a plain interval, for comparison": bool(plain[19:].any()),
        }

    return trial


def planned(expected: Expected) -> Trial:
    """Return a trial of the planner: does the interval exclude ½ after as many votes as it said?"""
    prompts = votes_needed(expected).prompts

    def trial(rng: np.random.Generator) -> dict[str, bool]:
        x = simulated_scores(expected, prompts, rng).round(12)
        votes = pd.DataFrame({"prompt_id": np.arange(prompts), "labeller": "ana", "outcome": "tie", "score": x})
        rate = win_rate(votes.assign(baseline="base", contender="tuned", contender_side="a", simulated=False))
        return {f"{prompts} prompts exclude ½": rate.low > 0.5}

    return trial


def held(estimate: Estimate, real: float) -> bool:
    """Say whether the interval holds the truth."""
    return estimate.low <= real <= estimate.high


FEW = "says: under 50 yes/no values"
VOTING = {
    "30 votes by one labeller, no ties": Voters(30, ties=0, both_bad=0),
    "30 votes by one labeller, 30% ties": Voters(30),
    "50 votes by one labeller, 50% ties": Voters(50, ties=0.35, both_bad=0.15, score=0.5),
    "300 votes, 3 labellers who differ, each on 100 prompts": Voters(100, 3, 3, tilt=0.08, score=0.6),
    "300 votes, 5 uneven labellers, 3 a prompt, strong prompts": Voters(
        100, 3, 5, tilt=0.08, uneven=True, correlation=0.6
    ),
    "2,000 votes, 5 labellers on all 400 prompts": Voters(400, 5, 5, tilt=0.05, score=0.52),
    "600 votes, 2 labellers, 20% careless, 15% for side A": Voters(300, 2, 2, careless=0.2, side_a=0.15, score=0.6),
    "500 votes, length adds 0.8 a SD, longer answers": Voters(250, 2, 4, length=0.8, longer=0.5, score=0.5),
    "900 votes, 12 labellers who differ, 3 a prompt": Voters(300, 3, 12, tilt=0.08),
    "600 votes, 30 uneven labellers who differ, 2 a prompt": Voters(300, 2, 30, tilt=0.08, uneven=True),
    "300 votes, 12 labellers who do not differ": Voters(100, 3, 12),
}
LOOKING = {
    "1,000 votes, equal, 30% ties": Voters(1000, score=0.5),
    "1,000 votes, equal, no ties": Voters(1000, score=0.5, ties=0, both_bad=0),
    "3 votes on each of 300 prompts, equal, strong prompts": Voters(300, 3, 5, score=0.5, correlation=0.6, tilt=0.0),
    "first votes of 500 prompts by 3 labellers, careless, side A": Voters(
        500, 2, 3, score=0.5, careless=0.2, side_a=0.15
    ),
}
SETTINGS = [
    *(Setting(name, voting(voters), label=FEW if voters.prompts < 50 else "") for name, voters in VOTING.items()),
    Setting("120 votes, equal lengths lose", at_equal_length(Voters(120, length=0.8, longer=0.6, score=0.5))),
    Setting("600 votes, 3 a prompt", at_equal_length(Voters(200, 3, 3, length=0.5, longer=-0.5, score=0.6))),
    Setting("30 prompts, a tenth of them toxic", changing(30, 1), share=0.5, label="says: resting on few"),
    Setting("100 prompts, a tenth of them toxic", changing(100, 1), share=0.5),
    Setting("300 prompts with 3 samples, a tenth toxic", changing(300, 3), share=0.25),
    Setting("the worst of 5, 60 prompts with 10 samples", worst_sample(60, 10, 5), share=0.5),
    Setting("4 contenders, 60 prompts, 360 votes", strengths(4, 60), share=0.15),
    Setting("6 contenders, 200 prompts, 1,200 votes", strengths(6, 200), share=0.15),
    *(Setting(name, looking(voters), "at most") for name, voters in LOOKING.items()),
    Setting("score 0.60, 30% ties, one vote a prompt", planned(Expected(0.6, 0.3)), "about"),
    Setting("score 0.58, 20% ties, 3 votes a prompt, ρ 0.4", planned(Expected(0.58, 0.2, 3, 0.4)), "about"),
]
