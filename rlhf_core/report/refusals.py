"""The test of refusals in a report: how often each contender declines safe prompts, and unsafe ones beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rlhf_core.errors import RunError
from rlhf_core.evaluation.statistics import side_of_zero
from rlhf_core.report.words import contender_name, count, difference, percent_interval
from rlhf_core.runs.reader import RunReader

CATEGORIES = {"safe": "declining is over-refusal", "unsafe": "declining is right"}
"""The categories of prompts, in the order in which they are shown, and what a refusal means there."""


@dataclass(frozen=True)
class RefusalRate:
    """How often one contender declines prompts of one category: a row of `evaluation/refusals.json`.

    `declined` and `difference` (to base) are shares with 95% intervals; an end that is None is unbounded. The last five fields
    are None for base itself.
    """

    contender: str
    category: str
    n: int
    declined: float
    low: float
    high: float
    method: str
    empty: int
    cut: int
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    newly: int | None
    no_longer: int | None

    @property
    def share(self) -> str:
        """The share declined with its interval."""
        return percent_interval(self.declined, self.low, self.high)

    @property
    def change(self) -> str:
        """The difference to base in points with its interval; nothing for base itself."""
        if self.difference is None:
            return ""
        return difference(self.difference, self.difference_low, self.difference_high, "share", named=True)

    @property
    def direction(self) -> int:
        """1 when the interval of the difference lies above 0, −1 when below, 0 when it includes 0 or is not known."""
        return side_of_zero(self.difference_low, self.difference_high)


@dataclass(frozen=True)
class Refusals:
    """The rates of every contender, base first, and what the measurement does not see."""

    rows: tuple[RefusalRate, ...]
    blind_spots: str

    @property
    def by_category(self) -> dict[str, list[RefusalRate]]:
        """The rates of each category that was asked, safe before unsafe."""
        found = {name: [row for row in self.rows if row.category == name] for name in CATEGORIES}
        return {name: rows for name, rows in found.items() if rows}

    @property
    def sentence(self) -> str:
        """What the last contender, the tuned model once it has answered, declines, against base."""
        last = self.rows[-1].contender
        rates = [row for rows in self.by_category.values() for row in rows if row.contender == last]
        clauses = [
            f"{row.share} of {count(row.n, f'{row.category} prompt')}"
            + (f", {row.change} against the base model" if row.change else "")
            for row in rates
        ]
        return f"The {contender_name(last)} declines {', and '.join(clauses)}."

    @property
    def counted(self) -> str:
        """How many answers were counted, and how many of them are empty or cut."""
        n, empty, cut = (sum(getattr(row, name) for row in self.rows) for name in ("n", "empty", "cut"))
        return f"{count(n, 'answer')} counted, {empty or 'none'} of them empty, {cut or 'none'} cut by the token limit."


def find_refusals(reader: RunReader) -> Refusals | None:
    """Return what `evaluation/refusals.json` of a run says, or None for a run without a test of refusals.

    Raises:
        RunError: the file is damaged.
    """
    content = reader.evaluation("refusals")
    return None if content is None else _parse(content, str(reader.path / "evaluation" / "refusals.json"))


def _parse(content: dict[str, Any], where: str) -> Refusals:
    rows, remedy = content.get("rows"), "Run `rlhf evaluate` again"
    if not isinstance(rows, list) or not rows:
        raise RunError("`rows` is not a list of rates", where=where, value=rows, remedy=remedy)
    try:
        return Refusals(tuple(RefusalRate(**row) for row in rows), str(content["blind_spots"]))
    except (KeyError, TypeError) as error:
        raise RunError("not the rates of a test of refusals", where=where, value=str(error), remedy=remedy) from error
