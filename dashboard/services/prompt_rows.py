"""The rows of the Compare page as a table to read, to sort and to take away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from dashboard.services import wording
from dashboard.services.comparing import SCORE, Comparison, Measure
from dashboard.services.prompt_table import AGAINST, NO_CATEGORY
from rlhf_core.evaluation.prompt_votes import AGREE, DISAGREE, SPLIT
from rlhf_core.report.exports import to_csv
from rlhf_core.report.words import outcome_name, sentence_case
from rlhf_core.visible import one_line

SHOWN = 300
"""So many letters of a prompt stand in its row."""
EXPORTED = {
    "before": "baseline_answer",
    "after": "contender_answer",
    "words": "words_change",
    "characters": "characters_change",
}


def orders(compared: Comparison, judged: bool) -> dict[str, str]:
    """Return what rows can be sorted by, in words, and the column of each."""
    found = {"Score change": SCORE.column("change")} if SCORE in compared.measures else {}
    if compared.toxicity in compared.measures and compared.toxicity is not None:
        found[f"{compared.toxicity.label} change"] = compared.toxicity.column("change")
    found["Length change"] = "words"
    if judged:
        found |= {"Win rate": "win_rate", "Number of votes": "votes"}
    return found | {"Length of the prompt": "prompt_words", "Prompt": "prompt_id"}


def display(compared: Comparison, rows: pd.DataFrame, judged: bool, every: bool) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the rows as they are shown, and by column its format: a printf one for numbers, "percent", or "" for text.

    `every` adds all measures of all scorers, before, after and change.
    """
    shown: dict[str, tuple[Any, str]] = {
        "Prompt": (rows["prompt"].map(lambda text: one_line(text[:SHOWN])), ""),
        "Category": (rows["category"].replace("", NO_CATEGORY), ""),
    }
    if SCORE in compared.measures:
        shown["Score change"] = (rows[SCORE.column("change")], "%+.2f")
    if compared.toxicity is not None and compared.toxicity in compared.measures:
        label = f"{compared.toxicity.label} change"
        shown[label] = (rows[compared.toxicity.column("change")], "%+.3f")
    shown["Words change"] = (rows["words"], "%+d")
    if judged:
        shown["Win rate"] = (rows["win_rate"], "percent")
        shown["Votes"] = (rows["votes"], "%d")
        if SCORE in compared.measures:
            shown["Votes and score"] = ([AGAINST[said] for said in rows["against"]], "")
    if every:
        shown["Characters change"] = (rows["characters"], "%+d")
        for measure in compared.measures:
            shown |= _three(compared, rows, measure)
    shown["Id"] = (rows["prompt_id"], "")
    return (
        pd.DataFrame({name: np.asarray(column) for name, (column, _) in shown.items()}),
        {name: form for name, (_, form) in shown.items()},
    )


def as_csv(compared: Comparison, rows: pd.DataFrame) -> str:
    """Return the rows with both answers and every score as CSV that no spreadsheet runs (`to_csv`)."""
    named = {"baseline": compared.baseline, "contender": compared.contender}
    plain = rows.rename(columns=EXPORTED).astype(object)
    plain = plain.where(plain.notna(), None)
    return to_csv([named | {str(name): value for name, value in row.items()} for row in plain.to_dict("records")])


def score_rows(compared: Comparison, row: Mapping[str, Any]) -> pd.DataFrame:
    """Return one prompt's measures as rows: what, before, after and change."""
    names = [sentence_case(wording.contender_name(name)) for name in (compared.baseline, compared.contender)]
    values = [
        (f"{m.scorer}: {m.measure.replace('_', ' ')}", *(row[m.column(part)] for part in ("before", "after", "change")))
        for m in compared.measures
    ]
    values.append(("text: words", row["words_before"], row["words_after"], row["words"]))
    return pd.DataFrame(values, columns=["Measure", *names, "Change"])


def choice_sentence(compared: Comparison, row: Mapping[str, Any]) -> str:
    """Say what people chose on one prompt and whether the reward model agrees; empty without a vote."""
    if not row["choice"]:
        return ""
    ours, theirs = compared.baseline, compared.contender
    chosen = "no outcome leads" if row["choice"] == SPLIT else outcome_name(row["choice"], ours, theirs)
    most = "most say " if row["votes"] > 1 and row["choice"] != SPLIT else ""
    said = f"{wording.count(row['votes'], 'vote')}: {most}{chosen}"
    score = {AGREE: "The reward model agrees.", DISAGREE: "The reward model prefers the other answer."}
    return f"{said}. {score.get(row['against'], '')}".strip()


def _three(compared: Comparison, rows: pd.DataFrame, measure: Measure) -> dict[str, tuple[Any, str]]:
    name = f"{measure.scorer}, {measure.measure.replace('_', ' ')}"
    titles = {"before": compared.baseline, "after": compared.contender, "change": "change"}
    forms = {"before": "%.3f", "after": "%.3f", "change": "%+.3f"}
    return {f"{name}: {title}": (rows[measure.column(part)], forms[part]) for part, title in titles.items()}
