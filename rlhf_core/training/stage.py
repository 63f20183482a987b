"""What a training loop needs besides its model and data: a folder, a seed, someone to tell how far it is, when to stop."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from rlhf_core.runs.directory import StageDirectory
from rlhf_core.stopping import Stop

RANK_STRIDE = 100_003


def _silent(step: int, total: int, message: str) -> None:
    return None


@dataclass(frozen=True)
class Stage:
    """One stage of a run while it trains."""

    name: str
    directory: StageDirectory
    seed: int
    inputs: str = ""
    """Hash of everything the stage depends on; a checkpoint made from other inputs is refused."""
    report: Callable[[int, int, str], None] = field(default=_silent)
    """Called with (steps done, steps in all, message)."""
    stop: Stop = field(default_factory=Stop)
    """Says whether to stop after the step under way."""

    @property
    def path(self) -> Path:
        """The stage's folder."""
        return self.directory.path

    def generator(self, *key: object) -> torch.Generator:
        """Return a random stream that depends only on the seed, the stage and `key`.

        Randomness without a running state: a resumed run draws what the uninterrupted one would have drawn.
        """
        digest = hashlib.sha256(f"{self.seed}|{self.name}|{key}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def rank_seed(seed: int, rank: int) -> int:
    """Return the seed of one process among several: seed + rank·100003."""
    return seed + rank * RANK_STRIDE
