"""What the votes say: win rate, outcomes, side bias, slices, labellers, and the rows themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dashboard.services import wording
from rlhf_core.evaluation.statistics import Estimate, outcome_shares, position_bias, win_rate, win_rate_by

OUTCOME_NAMES = {"contender": "tuned wins", "tie": "tie", "both_bad": "both bad", "baseline": "base wins"}
ROW_COLUMNS = {
    "prompt": "Prompt",
    "category": "Category",
    "outcome": "Outcome",
    "labeller": "Labeller",
    "contender_side": "Tuned was",
    "reading_seconds": "Seconds",
    "reason": "Reason",
    "created_at": "When (UTC)",
}


@dataclass(frozen=True)
class Results:
    """One set of votes, either all human or all simulated."""

    rate: Estimate
    shares: dict[str, Estimate]
    bias: Estimate | None
    categories: dict[str, Estimate]
    labellers: pd.DataFrame
    rows: pd.DataFrame
    simulated: bool

    @property
    def sentence(self) -> str:
        """The verdict in one sentence, with its interval."""
        share = wording.percent_interval(self.rate.value, self.rate.low, self.rate.high)
        votes = wording.count(self.rate.n, "simulated vote" if self.simulated else "vote")
        wins = f"the tuned model wins {share} of {votes}, ties counted as half."
        if self.simulated:
            return f"By the rule that made them, {wins}"
        return f"{preference(self.rate)}: {wins}"


def preference(rate: Estimate) -> str:
    """Say which side people prefer, or that the interval leaves it open."""
    if rate.low > 0.5:
        return "People prefer the tuned model"
    return "People prefer the base model" if rate.high < 0.5 else "No clear preference"


def summarise_votes(votes: pd.DataFrame) -> Results | None:
    """Summarise one set of votes; None when there are none.

    Raises:
        DataError: human and simulated votes, or several comparisons, are mixed.
    """
    if votes.empty:
        return None
    return Results(
        win_rate(votes),
        outcome_shares(votes),
        position_bias(votes),
        win_rate_by(votes, "category"),
        _labellers(votes),
        _rows(votes),
        bool(votes["simulated"].iloc[0]),
    )


def bias_sentence(bias: Estimate | None) -> str:
    """Say whether one side was favoured, with the interval."""
    if bias is None:
        return "No vote has picked a side yet."
    share = wording.percent_interval(bias.value, bias.low, bias.high)
    if bias.low <= 0.5 <= bias.high:
        return f"No sign of a side bias: A wins {share} of {bias.n} decided votes."
    return f"Side {'A' if bias.value > 0.5 else 'B'} is favoured: A wins {share} of {bias.n} decided votes."


def interval_sentence(rate: Estimate) -> str:
    """Say how the win rate's interval was made, and from how many prompts."""
    return f"Interval: {rate.method}, {wording.count(rate.clusters, 'prompt')}."


def _labellers(votes: pd.DataFrame) -> pd.DataFrame:
    rows = [
        {
            "Labeller": name,
            "Votes": len(part),
            "Tuned wins, %": 100 * part["score"].to_numpy().mean(),
            "Ties and both bad, %": 100 * part["outcome"].isin(["tie", "both_bad"]).to_numpy().mean(),
            "Median seconds": np.median(part["reading_seconds"].to_numpy()),
        }
        for name, part in votes.groupby("labeller", sort=True)
    ]
    return pd.DataFrame(rows)


def _rows(votes: pd.DataFrame) -> pd.DataFrame:
    rows = votes.sort_values("created_at", ascending=False).loc[:, list(ROW_COLUMNS)]
    rows = rows.assign(
        outcome=rows["outcome"].map(OUTCOME_NAMES),
        contender_side=rows["contender_side"].str.upper(),
        created_at=rows["created_at"].str.slice(0, 16).str.replace("T", " "),
    )
    return rows.rename(columns=ROW_COLUMNS).reset_index(drop=True)
