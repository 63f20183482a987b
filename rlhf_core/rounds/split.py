"""Which judged prompts a round trains on, which it keeps for judging, and how much the votes weigh beside earlier data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rlhf_core.data.records import Prompt, Ranking
from rlhf_core.data.splits import normalise, split_by_prompt
from rlhf_core.errors import DataError

MIN_RANKINGS = 8
"""Fewer new rankings teach a reward model nothing that could be seen."""
MIN_TESTED = 10
"""On fewer prompts an interval says next to nothing."""


@dataclass(frozen=True)
class Split:
    """Held-out prompts of the run before: `moved` are trained on from now on, `kept` are not; `tested` of these were judged."""

    moved: list[Prompt]
    kept: list[Prompt]
    tested: list[Prompt]


def split_judged(held_out: Sequence[Prompt], judged: Mapping[str, str], share: float, seed: int) -> Split:
    """Move a share of the judged prompts to the training side, drawn by prompt and seed before any verdict is looked at.

    `judged` are the texts of prompts that were voted on, by id. Prompts with one opening stay together, so one that nobody
    judged moves with a judged one.

    Raises:
        DataError: a judged prompt is not held out, or has another text there.
    """
    texts = {prompt.id: prompt.transcript for prompt in held_out}
    if other := sorted(name for name, text in judged.items() if texts.get(name) != text):
        raise DataError(
            f"{len(other)} of {len(judged)} judged prompts are not held out by this run, or read otherwise there",
            value=other[:5],
            remedy="Choose a task on this run's held-out prompts with --task, and leave the data files as they were",
        )
    voted = [prompt for prompt in held_out if prompt.id in judged]
    move, _ = split_by_prompt(voted, [prompt.opening for prompt in voted], 1 - share, seed)
    openings = {normalise(prompt.opening) for prompt in move}
    moves = [normalise(prompt.opening) in openings for prompt in held_out]
    kept = [prompt for prompt, goes in zip(held_out, moves, strict=True) if not goes]
    return Split(
        moved=[p.model_copy(update={"split": "train"}) for p, goes in zip(held_out, moves, strict=True) if goes],
        kept=kept,
        tested=[prompt for prompt in kept if prompt.id in judged],
    )


def refuse_too_few(split: Split, rankings: Sequence[Ranking]) -> None:
    """Refuse a round that could not be learnt from, or not be judged.

    Raises:
        DataError: fewer than MIN_RANKINGS new rankings, or fewer than MIN_TESTED judged prompts left held out.
    """
    judged = f"{len(split.moved)} judged prompts would be trained on and {len(split.tested)} stay held out"
    if len(rankings) < MIN_RANKINGS:
        raise DataError(
            f"too few votes to learn from: {judged}, with {len(rankings)} orders among the former (at least {MIN_RANKINGS})",
            remedy="Judge more pairs; ties give no order. A larger --share trains on more of the judged prompts",
        )
    if len(split.tested) < MIN_TESTED:
        raise DataError(
            f"too few prompts stay to judge on: {judged} (at least {MIN_TESTED} must)",
            remedy="Judge pairs of more prompts, lower --share, or begin anew with fresh held-out prompts",
        )


def weigh_earlier(earlier: Sequence[Ranking], new: Sequence[Ranking], share: float) -> tuple[list[Ranking], float]:
    """Weigh earlier rankings down until the new ones hold `share` of all weight; return them and the factor f ≤ 1.

    A prompt enters the loss as w times the mean over its pairs (`kwise_loss`), whatever its number of pairs, so that
    V = Σ w over new rankings with a pair and E = Σ w over earlier ones are their shares of the loss.
    f = min(1, V(1 − share)/(share·E)): votes that hold more than the share already change nothing, and are never weighed up.
    """
    votes, before = (sum(row.weight for row in rows if row.pairs()) for rows in (new, earlier))
    factor = min(1.0, votes * (1 - share) / (share * before)) if before else 1.0
    return [row.model_copy(update={"weight": row.weight * factor}) for row in earlier], factor


def weight_share(earlier: Sequence[Ranking], new: Sequence[Ranking]) -> float:
    """Return the share of all weight that the new rankings hold, V/(V + E)."""
    votes, before = (sum(row.weight for row in rows if row.pairs()) for rows in (new, earlier))
    return votes / (votes + before)
