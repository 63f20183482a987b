"""The table of labellers: each share with its numbers, in words that fit a cell."""

from __future__ import annotations

from typing import Any

import pandas as pd

from rlhf_core.evaluation.labellers import WORDS_PER_MINUTE
from rlhf_core.report.words import MISSING

SHARES = {
    "Gold right": "gold",
    "Same again": "consistency",
    "As most others": "with_others",
    "Side A": "side_a",
    "Ties, both bad": "ties",
    "Too fast": "too_fast",
}
COLUMN_HELP = {
    "Gold right": "Items with a known answer, judged right",
    "Same again": "Hidden repeats, sides swapped, that got the same verdict as the first time",
    "As most others": "Items on which the other labellers have one commonest verdict, and this labeller gave it",
    "Side A": "Decided votes for side A; half is no bias",
    "Ties, both bad": "Votes that chose no side",
    "Too fast": f"Votes given faster than {WORDS_PER_MINUTE} words a minute, of prompt and answers; a reason to look, no more",
    "Median seconds": "From showing an item to its verdict",
}


def labeller_table(quality: pd.DataFrame) -> pd.DataFrame:
    """Return one row a labeller of one criterion, those with remarks first; columns about which nothing is known are left out."""
    order = quality.assign(odd=quality["remarks"].map(len)).sort_values(
        ["odd", "votes"], ascending=False, kind="stable"
    )
    rows = [_row(row) for row in order.to_dict("records")]
    table = pd.DataFrame(rows)
    return table.drop(columns=[name for name in SHARES if set(table[name]) == {MISSING}])


def _row(row: dict[Any, Any]) -> dict[str, Any]:
    shares = {label: _share(int(row[f"{name}_k"]), int(row[f"{name}_n"])) for label, name in SHARES.items()}
    return {"Labeller": row["labeller"], "Votes": row["votes"], **shares, "Median seconds": row["median_seconds"]}


def _share(k: int, n: int) -> str:
    return f"{k / n:.0%} of {n:,}" if n else MISSING
