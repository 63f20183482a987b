"""What a page waits for: all figures of 100,000 votes in a second, and a ranking from a million votes in ten."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from benchmarks.voters import Voters, simulate
from rlhf_core.evaluation.statistics import (
    bradley_terry,
    length_controlled,
    may_i_stop,
    more_votes,
    outcome_shares,
    position_bias,
    win_rate,
    win_rate_by,
)


def seconds(work) -> float:
    """Seconds of one core, whatever else the machine does; the quickest of three runs: the first one reads libraries."""
    times = []
    for _ in range(3):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


@pytest.mark.slow
def test_every_figure_of_a_hundred_thousand_votes_takes_less_than_a_second():
    votes, _ = simulate(Voters(33_334, 3, 200, score=0.505, tilt=0.05), np.random.default_rng(0))
    order = pd.Series(np.arange(len(votes))).astype(str).str.zfill(9)
    votes = votes.assign(created_at=order, category=np.where(votes["prompt_id"] % 2, "helpful", "harmless"))
    votes = votes.astype({"prompt_id": "str", "labeller": "str"})

    def page() -> None:
        for figure in (win_rate, outcome_shares, position_bias, may_i_stop, more_votes, length_controlled):
            figure(votes)
        win_rate_by(votes, "category")

    taken = seconds(page)
    print(f"all figures of {len(votes):,} votes by 200 labellers: {taken:.2f} s")
    assert taken < 1


@pytest.mark.slow
def test_fifty_contenders_with_a_million_votes_take_less_than_ten_seconds():
    rng, n = np.random.default_rng(0), 1_000_000
    strength = rng.normal(size=50)
    one = rng.integers(0, 50, n)
    other = (one + rng.integers(1, 50, n)) % 50
    left, right = np.exp(strength[one]), np.exp(strength[other])
    tie = 0.5 * np.sqrt(left * right)
    drawn = rng.random(n) * (left + right + tie)
    names = np.array([f"c{i:02}" for i in range(50)])
    votes = pd.DataFrame(
        {
            "prompt_id": rng.integers(0, 100_000, n).astype(str),
            "labeller": "ana",
            "contender": names[one],
            "baseline": names[other],
            "outcome": np.select([drawn < left, drawn < left + right], ["contender", "baseline"], "tie"),
            "score": 0.5,
            "contender_side": "a",
            "simulated": False,
        }
    )
    started = time.perf_counter()
    ranking = bradley_terry(votes)
    taken = time.perf_counter() - started
    print(f"50 contenders, {n:,} votes, 200 replicates: {taken:.1f} s")
    assert taken < 10
    real = dict(zip(names, strength - strength.mean(), strict=True))
    held = [s.low <= real[name] <= s.high for name, s in ranking.strengths.items()]
    assert len(held) == 50 and np.mean(held) > 0.85  # 95% expected; strengths share their mean, so they err together
