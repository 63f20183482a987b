"""How many votes are needed, for what one expects of them."""

from __future__ import annotations

from functools import lru_cache

from dashboard.services.wording import count
from rlhf_core.errors import DataError
from rlhf_core.evaluation.statistics import Expected, Plan, votes_needed, votes_until_settled


@lru_cache(maxsize=256)
def plan_sentences(score: float, ties: float, overlap: int, correlation: float) -> tuple[str, ...]:
    """Return what a fixed plan takes and what stopping when it is settled takes, each with a power of 80%.

    `score` is the expected win rate, `ties` the share of ties and both bad, `overlap` the votes on a prompt and
    `correlation` that of two of them. What cannot be planned is said instead.
    """
    try:
        expected = Expected(score, ties, overlap, correlation)
    except DataError as error:
        return (f"No plan: {error}.",)
    fixed = f"Plan {_amount(votes_needed(expected), overlap)} and look once: the interval then excludes 50% in 4 of 5 such studies."
    try:
        settled = _amount(votes_until_settled(expected), overlap)
    except DataError as error:
        return fixed, f"Looking after every prompt: {error}."
    return fixed, f"Look after every prompt and stop when it is settled: 4 of 5 such studies end within {settled}."


def _amount(plan: Plan, overlap: int) -> str:
    prompts = count(plan.prompts, "prompt")
    return f"{count(plan.votes, 'vote')} ({prompts} × {overlap})" if overlap > 1 else f"{prompts}, one vote each"
