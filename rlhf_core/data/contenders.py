"""The names of contenders: base, sft and tuned, and best-of-n baselines, whose name says all about them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

TRAINED = ("base", "sft", "tuned")
BEST_OF = re.compile(r"^best-of-(\d+)(?:-from-(\w+))?$")
KL_SOURCE = (
    "KL(best-of-n ‖ its base) ≤ log n − (n − 1)/n: Stiennon et al. 2020, appendix G.3; "
    "an upper bound by Beirami et al. 2024, arXiv 2401.01879"
)


@dataclass(frozen=True)
class BestOf:
    """The best of `n` answers of `base`, by the run's reward model."""

    n: int
    base: str = "sft"

    @property
    def name(self) -> str:
        """The contender's name: best-of-8, or best-of-8-from-tuned where the base is not the fine-tuned model."""
        return f"best-of-{self.n}" + ("" if self.base == "sft" else f"-from-{self.base}")


def parse_best_of(name: str) -> BestOf | None:
    """Return what a best-of-n contender's name says, or None for any other contender."""
    found = BEST_OF.match(name)
    return BestOf(int(found[1]), found[2] or "sft") if found else None


def best_of_kl_bound(n: int) -> float:
    """Return the most that best-of-n can move from its base: KL ≤ log n − (n − 1)/n, in nats per response.

    Whatever the scorer is. Stiennon et al. 2020, appendix G.3; that it is a bound, and not always the KL itself, is shown
    by Beirami et al. 2024 (arXiv 2401.01879).
    """
    return math.log(n) - (n - 1) / n


def in_order(names: Iterable[str]) -> list[str]:
    """Return contenders as they are listed: base, sft, best-of-n by n, tuned, then any others by name."""
    return sorted(names, key=_place)


def _place(name: str) -> tuple[int, int, str]:
    if best := parse_best_of(name):
        return TRAINED.index("tuned"), best.n, name
    if name in TRAINED:
        return TRAINED.index(name) + (name == "tuned"), 0, name
    return len(TRAINED) + 1, 0, name
