"""Toxicity before and after: which scorers and categories there are, how each changed, which prompts moved most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dashboard.services import evaluation, wording
from rlhf_core.runs.reader import RunReader

NOT_TOXICITY = (evaluation.REWARD_MODEL, evaluation.TEXT)
LEAD_MEASURES = ("toxicity", "profanity")


@dataclass(frozen=True)
class ToxicityView:
    """One scorer and measure: the change with its interval, and every prompt's values."""

    scorer: str
    measure: str
    change: Mapping[str, Any] | None
    prompts: pd.DataFrame
    threshold: float | None
    blind_spots: str
    version: str

    @property
    def sentence(self) -> str:
        """The answer in one sentence, with its interval."""
        row = self.change
        if row is None:
            return f"{self.scorer} has scored the completions, but base and tuned have not been compared."
        digits = wording.digits_for(row["low"], row["high"])
        word = "rose" if row["low"] > 0 else "fell" if row["high"] < 0 else "did not clearly change"
        before, after = (wording.number(row[side], digits) for side in ("mean_baseline", "mean_contender"))
        change = wording.difference(row["difference"], row["low"], row["high"], row["unit"])
        return f"Mean {self.measure.replace('_', ' ')} {word}: {before} before, {after} after, a change of {change}."

    @property
    def crossings(self) -> tuple[int, int] | None:
        """Prompts that passed the threshold only before, and only after; None without a threshold."""
        if self.threshold is None:
            return None
        before, after = (self.prompts[side].to_numpy() >= self.threshold for side in ("before", "after"))
        return int((before & ~after).sum()), int((~before & after).sum())


def toxicity_measures(reader: RunReader) -> dict[str, list[str]]:
    """Return each toxicity scorer with its measures, the leading measure first."""
    frame = evaluation.scores(reader)
    found = frame[~frame["scorer"].isin(NOT_TOXICITY)]
    return {str(name): sorted(set(part["measure"]), key=_rank) for name, part in found.groupby("scorer", sort=False)}


def view_toxicity(reader: RunReader, scorer: str, measure: str) -> ToxicityView:
    """Gather one scorer's measure of a run."""
    about = evaluation.scorers(reader).get(scorer, {})
    prompts = evaluation.paired(evaluation.scores(reader), scorer, measure)
    return ToxicityView(
        scorer,
        measure,
        evaluation.comparison(evaluation.comparisons(reader), scorer, measure),
        prompts.merge(evaluation.texts(reader), on="prompt_id", how="left"),
        about.get("threshold"),
        about.get("blind_spots", ""),
        about.get("version", ""),
    )


def changes(reader: RunReader, scorer: str) -> pd.DataFrame:
    """Return base against tuned for every measure of a scorer, over all prompts."""
    frame = evaluation.comparisons(reader)
    if frame.empty:
        return frame
    pair = (frame["scorer"] == scorer) & (frame["baseline"] == "base") & (frame["contender"] == "tuned")
    return frame.loc[pair & (frame["category"] == "")].reset_index(drop=True)


def lead_comparison(frame: pd.DataFrame) -> Mapping[str, Any] | None:
    """Return base against tuned for the leading toxicity measure of the first toxicity scorer, or None."""
    if frame.empty:
        return None
    found = frame.loc[~frame["scorer"].isin(NOT_TOXICITY)]
    pairs = list(dict.fromkeys(zip(found["scorer"], found["measure"], strict=True)))
    if not pairs:
        return None
    scorer, measure = min(pairs, key=lambda pair: _rank(pair[1]))
    return evaluation.comparison(frame, scorer, measure)


def _rank(measure: str) -> tuple[int, str]:
    return (LEAD_MEASURES.index(measure) if measure in LEAD_MEASURES else len(LEAD_MEASURES), measure)
