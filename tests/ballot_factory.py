"""Frames of several people's votes for tests, one row per item, criterion and labeller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

SHORT = {"c": "contender", "b": "baseline", "t": "tie", "x": "both_bad"}
SCORES = {"contender": 1.0, "baseline": 0.0, "tie": 0.5, "both_bad": 0.5}


def ballots(verdicts: Mapping[str, str], **columns: object) -> pd.DataFrame:
    """Return votes from one string a labeller, a letter an item: c, b, t, x for an outcome, – for no vote.

    Item i has prompt p{i}; the contender is on side A; `columns` replaces whole columns.
    """
    rows = [
        {"labeller": labeller, "item_id": item, "prompt_id": f"p{item}", "outcome": SHORT[letter]}
        for labeller, letters in verdicts.items()
        for item, letter in enumerate(letters)
        if letter != "–"
    ]
    frame = pd.DataFrame(rows, columns=["labeller", "item_id", "prompt_id", "outcome"]).assign(
        task_id=1,
        category="helpful",
        criterion="overall",
        baseline="base",
        contender="tuned",
        contender_side="a",
        reading_seconds=20.0,
        created_at="2026-01-01T00:00:00",
        simulated=False,
        kind="item",
        repeat_of=pd.array([pd.NA] * len(rows), dtype="Int64"),
        gold=None,
    )
    frame["score"] = frame["outcome"].map(SCORES)
    return frame.assign(**columns)


def more(frame: pd.DataFrame, kind: str, rows: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Return the frame with votes of another kind after it: gold items or repeats."""
    return pd.concat([frame, *(frame.iloc[:1].assign(kind=kind, **row) for row in rows)], ignore_index=True)
