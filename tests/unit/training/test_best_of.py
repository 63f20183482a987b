"""Best-of-n: each prompt gets the one of its own n responses that scores highest."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rlhf_core.models.sampling import SamplingConfig
from rlhf_core.training.best_of import sample_best_of
from rlhf_core.training.rollout import sample
from tests.engine import PROMPTS, episodes, tiny_policy

SETTINGS = SamplingConfig(6)


def test_of_every_prompt_the_best_of_its_own_responses_is_kept():
    """Three prompts, three responses each, scored in one call; the second prompt's two best are equal: the first is kept."""
    policy = tiny_policy(trainable=False)
    rows, seen = episodes(policy)[:3], []

    def scorer(prompts: Sequence[str], responses: Sequence[str]) -> Tensor:
        seen.append((list(prompts), list(responses)))
        return torch.tensor([3.0, 1.0, 2.0, 0.0, 5.0, 5.0, 7.0, 8.0, 9.0])

    best = sample_best_of(policy, rows, SETTINGS, torch.Generator().manual_seed(5), 3, scorer)
    every = sample(policy, [row for row in rows for _ in range(3)], SETTINGS, torch.Generator().manual_seed(5))
    assert seen == [([text for text in PROMPTS[:3] for _ in range(3)], every.texts)]
    assert best.responses == [every.responses[k] for k in (0, 4, 8)]
    assert best.texts == [every.texts[k] for k in (0, 4, 8)]
