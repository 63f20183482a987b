"""Colours with one meaning each, after Okabe and Ito: base slate, tuned blue, a third contender orange."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """The colours of one theme."""

    base: str
    tuned: str
    third: str
    fourth: str
    fifth: str
    ink: str
    on_fill: str
    faint: str
    band: str

    def contender(self, name: str) -> str:
        """Return a contender's colour, the same on every page."""
        return {"base": self.base, "tuned": self.tuned, "sft": self.third}.get(name, self.fourth)

    def contenders(self, names: Iterable[str]) -> dict[str, str]:
        """Return each contender's colour; those that have none of their own take turns, by name."""
        known = {"base", "tuned", "sft"}
        others = sorted({name for name in names if name not in known})
        turns = (self.fourth, self.fifth, self.third)
        return {name: self.contender(name) for name in known} | {
            name: turns[n % len(turns)] for n, name in enumerate(others)
        }

    def run(self, place: int) -> str:
        """Return the colour of the run at `place` in a list of overlaid runs."""
        order = (self.tuned, self.third, self.fourth, self.fifth, self.base)
        return order[place % len(order)]


LIGHT = Palette(
    "#64748b",
    "#0072b2",
    "#cc7a00",
    "#009e73",
    "#b8558f",
    "#111821",
    "#ffffff",
    "rgba(100,116,139,0.35)",
    "rgba(0,158,115,0.08)",
)
DARK = Palette(
    "#94a3b8",
    "#56b4e9",
    "#e69f00",
    "#2bbf92",
    "#d99bbd",
    "#e4e9ef",
    "#12171e",
    "rgba(148,163,184,0.4)",
    "rgba(43,191,146,0.10)",
)


def translucent(colour: str, share: float) -> str:
    """Return `#rrggbb` as an `rgba(…)` of the given opacity."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share:g})"
