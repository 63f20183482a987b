"""A stage's random streams."""

from __future__ import annotations

from pathlib import Path

import torch

from rlhf_core.training.stage import rank_seed
from tests.engine import make_stage


def test_every_process_has_a_seed_of_its_own():
    """Claim 6: seed + rank·100003."""
    assert [rank_seed(7, rank) for rank in range(3)] == [7, 100_010, 200_013]


def test_a_stream_depends_on_seed_stage_and_key_and_on_nothing_else(tmp_path: Path):
    """Claim 6: the same three give the same numbers, whatever was drawn before; any other gives others."""

    def numbers(name: str = "ppo", seed: int = 0, *key: object) -> list[float]:
        torch.rand(3)  # the global stream plays no part
        return torch.rand(4, generator=make_stage(tmp_path, name, seed).generator(*key)).tolist()

    first = numbers("ppo", 0, "rollout", 3)
    assert numbers("ppo", 0, "rollout", 3) == first
    others = [
        numbers("sft", 0, "rollout", 3),
        numbers("ppo", 1, "rollout", 3),
        numbers("ppo", 0, "rollout", 4),
        numbers("ppo", 0, "x", 3),
    ]
    assert all(other != first for other in others)


def test_drawing_leaves_torchs_own_stream_alone(tmp_path: Path):
    torch.manual_seed(1)
    expected = torch.rand(2).tolist()
    torch.manual_seed(1)
    torch.rand(5, generator=make_stage(tmp_path).generator("x"))
    assert torch.rand(2).tolist() == expected
