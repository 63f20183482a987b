"""The names of contenders: base, sft, tuned, the tuned models of earlier rounds, and best-of-n baselines."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

MADE_IN = {"sft": "sft", "tuned": "ppo"}
"""The stage that leaves a contender's model; the models of all other contenders were there before."""
PLACES = {"base": 0, "sft": 1, "tuned": 4}
ELSEWHERE = 5
"""The place of contenders that are none of the run's own models."""
BEST_OF = re.compile(r"^best-of-(\d+)(?:-from-(\w+))?$")
ROUND = re.compile(r"^round-(\d+)$")
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


def round_name(number: int) -> str:
    """Return what the tuned model of an earlier round is called among later contenders: round-1 is the first run's."""
    return f"round-{number}"


def parse_round(name: str) -> int | None:
    """Return the round whose tuned model a name means, or None for any other contender."""
    found = ROUND.match(name)
    return int(found[1]) if found else None


def best_of_kl_bound(n: int) -> float:
    """Return the most that best-of-n can move from its base: KL ≤ log n − (n − 1)/n, in nats per response.

    Whatever the scorer is. Stiennon et al. 2020, appendix G.3; that it is a bound, and not always the KL itself, is shown
    by Beirami et al. 2024 (arXiv 2401.01879).
    """
    return math.log(n) - (n - 1) / n


def in_order(names: Iterable[str]) -> list[str]:
    """Return contenders as they are listed: base, sft, earlier rounds, best-of-n by n, tuned, then any others by name."""
    return sorted(names, key=_place)


def sides(names: Iterable[str]) -> tuple[str, str]:
    """Return which contender is compared with which: the latest earlier round, or the first, with the last listed.

    Contenders from elsewhere count only where the run has fewer than two of its own.
    """
    listed = in_order(names)
    own = [name for name in listed if _place(name)[0] < ELSEWHERE]
    listed = own if len(own) > 1 else listed
    earlier = [name for name in listed if parse_round(name)]
    return (earlier or listed)[-1 if earlier else 0], listed[-1]


def _place(name: str) -> tuple[int, int, str]:
    if number := parse_round(name):
        return 2, number, name
    if best := parse_best_of(name):
        return 3, best.n, name
    return PLACES.get(name, ELSEWHERE), 0, name
