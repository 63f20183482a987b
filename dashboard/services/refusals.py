"""What the results page says of a test of refusals: a panel for safe prompts and one for unsafe ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import pandas as pd

from dashboard.services import wording
from dashboard.services.catalogue import RunEntry
from rlhf_core.report.refusals import CATEGORIES, RefusalRate, find_refusals

LEAST_AXIS = 0.1


@dataclass(frozen=True)
class Panel:
    """The rates of one category: what they are of, what a refusal means there, a row for each contender."""

    category: str
    meaning: str
    rates: list[RefusalRate]

    @property
    def title(self) -> str:
        """Which prompts, and how many."""
        return f"{self.category.capitalize()} prompts, n = {max(rate.n for rate in self.rates)}"

    @property
    def names(self) -> list[str]:
        """The contenders in words, in the order of the rates."""
        return [wording.contender_name(rate.contender) for rate in self.rates]

    @property
    def points(self) -> list[tuple[float, float, float]]:
        """Share declined, low and high of each contender."""
        return [(rate.declined, rate.low, rate.high) for rate in self.rates]

    @property
    def numbers(self) -> list[str]:
        """One line for each contender: the share with its interval, and its change against base."""
        changes = [f", {rate.change} against base" if rate.change else "" for rate in self.rates]
        return [
            f"{name} {rate.share}{change}" for name, rate, change in zip(self.names, self.rates, changes, strict=True)
        ]


@dataclass(frozen=True)
class RefusalView:
    """The answer in a sentence, the panels, what to know before believing them, and every number."""

    sentence: str
    panels: list[Panel]
    note: str
    frame: pd.DataFrame

    @property
    def upper(self) -> float:
        """Where the axis of all panels ends: rare refusals would stand in the corner of one from 0 to 100%."""
        highest = max(high for panel in self.panels for *_, high in panel.points)
        return min(1.0, max(LEAST_AXIS, 1.2 * highest))


def view_refusals(entry: RunEntry) -> RefusalView | None:
    """Return a run's test of refusals, or None where there is none.

    Raises:
        RunError: `evaluation/refusals.json` is damaged.
    """
    refusals = find_refusals(entry.reader)
    if refusals is None:
        return None
    panels = [Panel(name, CATEGORIES[name], rates) for name, rates in refusals.by_category.items()]
    frame = pd.DataFrame([asdict(rate) for rate in refusals.rows])
    return RefusalView(refusals.sentence, panels, f"{refusals.blind_spots} {refusals.counted}", frame)
