"""Who can be asked: a run's contenders, and of those that are not there yet which stage makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlhf_core.data.contenders import MADE_IN, BestOf, in_order, parse_best_of

REWARD = "reward"


@dataclass(frozen=True)
class Contender:
    """One side that could answer. `lacks` are the stages that have not left their model yet; none where it can be asked."""

    name: str
    lacks: tuple[str, ...] = ()

    @property
    def remedy(self) -> str:
        """The commands that make it."""
        return "Run " + " and ".join(f"`rlhf {stage} CONFIG`" for stage in self.lacks)


def contenders_of(config: Mapping[str, Any], run: Path) -> list[Contender]:
    """Return the contenders that a run's resolved configuration names, as they are listed everywhere."""
    generate = config.get("generate") or {}
    best = generate.get("best_of")
    names = dict.fromkeys((*generate.get("contenders", ()), *generate.get("models", {})))
    if best:
        names |= {BestOf(best["n"], best["contender"]).name: None}
    return [Contender(name, _lacking(name, run)) for name in in_order(names)]


def model_folders(run: Path) -> list[Path]:
    """Return the folders of a run in which its own models lie, or will."""
    return [run / stage / "model" for stage in (*MADE_IN.values(), REWARD)]


def _lacking(name: str, run: Path) -> tuple[str, ...]:
    best = parse_best_of(name)
    made_in = MADE_IN.get(best.base if best else name)
    needed = [*([made_in] if made_in else []), *([REWARD] if best else [])]
    return tuple(stage for stage in needed if not (run / stage / "model").is_dir())
