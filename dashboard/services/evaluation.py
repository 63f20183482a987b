"""A run's evaluation files as frames and rows: scores per completion, comparisons, the reward model's own test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from rlhf_core.errors import RunError
from rlhf_core.runs.reader import RunReader

SCORE_COLUMNS = ["prompt_id", "category", "contender", "scorer", "measure", "value"]
REWARD_MODEL, TEXT = "reward model", "text"


def scores(reader: RunReader) -> pd.DataFrame:
    """Return the long frame of scores; empty before the evaluation has been written."""
    return (
        _rows(reader, "scores").loc[:, SCORE_COLUMNS]
        if reader.evaluation("scores")
        else pd.DataFrame(columns=SCORE_COLUMNS)
    )


def scorers(reader: RunReader) -> dict[str, dict[str, Any]]:
    """Return what is known of each scorer: version, blind spots, threshold."""
    return (reader.evaluation("scores") or {}).get("scorers", {})


def comparisons(reader: RunReader) -> pd.DataFrame:
    """Return the comparison rows; empty before the evaluation has been written."""
    return _rows(reader, "comparisons")


def comparison(frame: pd.DataFrame, scorer: str, measure: str, category: str = "") -> Mapping[str, Any] | None:
    """Return the row of base against tuned for one measure, or None."""
    if frame.empty:
        return None
    wanted = {"scorer": scorer, "measure": measure, "category": category, "baseline": "base", "contender": "tuned"}
    found = frame[(frame[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    return None if found.empty else found.iloc[0].to_dict()


def by_category(frame: pd.DataFrame, scorer: str, measure: str) -> pd.DataFrame:
    """Return base against tuned for one measure, one row a category."""
    if frame.empty:
        return frame
    pair = (frame["baseline"] == "base") & (frame["contender"] == "tuned") & (frame["category"] != "")
    return frame.loc[pair & (frame["scorer"] == scorer) & (frame["measure"] == measure)].reset_index(drop=True)


def paired(frame: pd.DataFrame, scorer: str, measure: str) -> pd.DataFrame:
    """Return one row a prompt: prompt_id, category, before (base), after (tuned), change; largest rise first."""
    part = frame.loc[(frame["scorer"] == scorer) & (frame["measure"] == measure)]
    wide = part.pivot_table(index=["prompt_id", "category"], columns="contender", values="value").reset_index()
    if not {"base", "tuned"} <= set(wide.columns):
        return pd.DataFrame(columns=["prompt_id", "category", "before", "after", "change"])
    wide = wide.rename(columns={"base": "before", "tuned": "after"}).dropna(subset=["before", "after"])
    wide["change"] = wide["after"] - wide["before"]
    wide = wide.loc[:, ["prompt_id", "category", "before", "after", "change"]]
    return wide.sort_values(["change", "prompt_id"], ascending=[False, True]).reset_index(drop=True)


def texts(reader: RunReader) -> pd.DataFrame:
    """Return one row a prompt: prompt_id, prompt, and a column of answers per contender."""
    columns = {name: reader.completions(name) for name in reader.contenders()}
    prompts = {row.prompt_id: row.prompt for rows in columns.values() for row in rows}
    frame = pd.DataFrame({"prompt_id": list(prompts), "prompt": list(prompts.values())})
    for name, rows in columns.items():
        answers = {row.prompt_id: row.text for row in rows}
        frame[name] = [answers.get(key) for key in prompts]
    return frame


def _rows(reader: RunReader, name: str) -> pd.DataFrame:
    content = reader.evaluation(name)
    if content is None:
        return pd.DataFrame()
    rows = content.get("rows")
    where = reader.path / "evaluation" / f"{name}.json"
    if not isinstance(rows, list):
        raise RunError("`rows` is not a list", where=where, value=rows, remedy="Run `rlhf evaluate` again")
    frame = pd.DataFrame(rows)
    needed = {"scores": SCORE_COLUMNS, "comparisons": ["scorer", "measure", "baseline", "contender", "category"]}[name]
    if rows and (missing := [column for column in needed if column not in frame]):
        raise RunError(f"rows lack {', '.join(missing)}", where=where, remedy="Run `rlhf evaluate` again")
    return frame
