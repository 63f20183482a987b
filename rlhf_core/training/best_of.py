"""Best-of-n: what the reward model can pick from a policy's samples without training it. The baseline PPO has to beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from rlhf_core.models.policy import Policy
from rlhf_core.models.sampling import SamplingConfig
from rlhf_core.models.scorers import Scorer
from rlhf_core.training.rollout import Episode, Sampled, sample

Draw = Callable[[Policy, Sequence[Episode], SamplingConfig, torch.Generator], Sampled]
"""What makes one response per prompt: `sample`, or `sample_best_of` with n and a scorer given."""


def sample_best_of(
    policy: Policy,
    episodes: Sequence[Episode],
    config: SamplingConfig,
    generator: torch.Generator,
    n: int,
    scorer: Scorer,
) -> Sampled:
    """Sample `n` responses per prompt and keep the one with the highest score, argmax_k score(x, y_k); the first of equals.

    All len(episodes)·n responses are one batch, for the policy and for the scorer. Stiennon et al. 2020, appendix G.3.
    """
    repeated = [episode for episode in episodes for _ in range(n)]
    sampled = sample(policy, repeated, config, generator)
    scores = scorer([e.prompt for e in repeated], sampled.texts)
    chosen = scores.view(len(episodes), n).argmax(1) + n * torch.arange(len(episodes))
    return Sampled([sampled.responses[k] for k in chosen], [sampled.texts[k] for k in chosen])
