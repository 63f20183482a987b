"""Planning: the formula by hand, and what it promises by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from rlhf_core.errors import DataError
from rlhf_core.evaluation.statistics import (
    Expected,
    Plan,
    accuracy_interval,
    more_votes,
    votes_needed,
    votes_until_settled,
)
from rlhf_core.evaluation.statistics.planning import simulated_scores
from tests.vote_factory import vote_frame


def test_variance_and_design_effect_by_hand():
    # Score 0.6 with 30% ties: 45% wins, 25% losses. E x² = 0.45 + 0.3/4 = 0.525, less 0.36: 0.165.
    expected = Expected(0.6, ties=0.3, overlap=3, correlation=0.4)
    assert expected.variance == pytest.approx(0.165)
    assert expected.design_effect == pytest.approx(1.8)


def test_votes_needed_by_hand():
    # v = 0.165, at ½ 0.165/0.96 = 0.171875. z: (1.95996·0.414578 + 0.841621·0.406202)²/0.01 = 133.24, so 134;
    # then t₁₃₃ = 1.97796: (0.820018 + 0.341868)²/0.01 = 135.0 → 135 (1.3500 is 134.998).
    assert votes_needed(Expected(0.6, ties=0.3)) == Plan(135, 135)
    assert votes_needed(Expected(0.4, ties=0.3)) == Plan(135, 135)


def test_three_votes_on_a_prompt_are_worth_three_over_the_design_effect():
    # 2,000-odd prompts, where t is z: prompts in proportion to (1 + 2·0.4)/3 = 0.6, votes to 1.8.
    one, three = votes_needed(Expected(0.53)), votes_needed(Expected(0.53, overlap=3, correlation=0.4))
    assert three.prompts / one.prompts == pytest.approx(0.6, rel=0.005)
    assert three.votes == 3 * three.prompts


@pytest.mark.parametrize("expected", [Expected(0.6, 0.3), Expected(0.64, 0.2, overlap=3, correlation=0.5)])
def test_as_many_as_asked_for_have_the_power_promised(expected: Expected):
    # 1,500 judgings: three standard errors of 80% are 0.031.
    prompts, rng = votes_needed(expected).prompts, np.random.default_rng(3)
    found = [accuracy_interval(simulated_scores(expected, prompts, rng).round(12)).low > 0.5 for _ in range(1500)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.035)


def test_simulated_scores_are_what_was_expected():
    # Correlation of the votes on a prompt: Var(mean of 2) = v·(1 + ρ)/2, v = 0.165; 400,000 prompts.
    means = simulated_scores(Expected(0.6, 0.3, overlap=2, correlation=0.4), 400_000, np.random.default_rng(0))
    assert means.mean() == pytest.approx(0.6, abs=0.003)
    assert means.var() == pytest.approx(0.165 * 1.4 / 2, rel=0.01)


def test_votes_until_settled_are_what_stopping_takes():
    # 80% of judgings have stopped by about 230 prompts at 0.60 with 30% ties, 600 apart from those of the plan.
    rng = np.random.default_rng(9)
    scores = rng.choice([0.0, 0.5, 1.0], (1000, 600), p=[0.25, 0.3, 0.45])
    purses = [(1 + f * (2 * scores - 1)).cumprod(axis=0) for f in (0.4, 0.2, 0.1, 0.05)]
    over = np.mean(purses, axis=0) >= 40
    first = np.sort(np.where(over.any(axis=0), over.argmax(axis=0) + 1, 10**6))
    plan = votes_until_settled(Expected(0.6, 0.3))
    assert plan.prompts == plan.votes == pytest.approx(first[480], rel=0.12)


def test_more_votes_while_voting():
    # 60 prompts, 33 wins, 18 ties, 9 losses: score 0.7, Σ(x − 0.7)² = 33·0.09 + 18·0.04 + 9·0.49 = 8.1, v = 8.1/59 = 0.13729.
    # z: (1.95996·√(v/0.84) + 0.841621·√v)²/0.04 = (0.79237 + 0.31184)²/0.04 = 30.5 → 31; t₃₀ = 2.04227:
    # (0.82565 + 0.31184)²/0.04 = 32.3 → 33: enough already. A tenth as far above ½ takes a hundred times as many.
    votes = vote_frame(["contender"] * 33 + ["tie"] * 18 + ["baseline"] * 9)
    assert more_votes(votes) == Plan(0, 0)
    few = votes.iloc[::3]  # 11 wins, 6 ties, 3 losses: v = 2.7/19 = 0.14211 → 33.6 with t₃₁ = 2.03951: 34 − 20
    assert more_votes(few) == Plan(14, 14)
    assert more_votes(vote_frame(["contender", "baseline", "tie"])) is None
    assert more_votes(vote_frame(["contender", "tie"])) is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Expected(0.9, ties=0.4), "a score of 0.9 cannot be with 40% ties. A score lies from half the share"),
        (lambda: Expected(0.6, ties=1.0), "a score of 0.6 cannot be with 100% ties"),
        (lambda: Expected(0.6, overlap=0), r"overlap is at least 1 and correlation from 0 to 1 \(found \[0, 0.0\]\)"),
        (lambda: Expected(0.6, correlation=1.5), "correlation from 0 to 1"),
        (lambda: Expected(0.5), "no number of votes tells ½ from ½. Give the smallest difference that matters"),
        (lambda: votes_until_settled(Expected(0.501)), "more than 5000 prompts are needed. Expect a larger difference"),
    ],
)
def test_what_cannot_be_planned_is_refused(make, message: str):
    with pytest.raises(DataError, match=message):
        make()
