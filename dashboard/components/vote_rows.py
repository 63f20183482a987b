"""The votes themselves, newest first."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.services.wording import contender_name
from rlhf_core.report.words import outcome_name

SHOWN = 2000
"""So many rows are sent to the browser; the report's CSV has all."""


def vote_rows(votes: pd.DataFrame) -> None:
    """Show the newest votes of one criterion and pair."""
    st.markdown("#### The votes")
    baseline, contender = (str(votes[side].iloc[0]) for side in ("baseline", "contender"))
    newest = votes.sort_values("vote_id", ascending=False).head(SHOWN)
    names = {outcome: outcome_name(outcome, baseline, contender) for outcome in newest["outcome"].unique()}
    rows = pd.DataFrame(
        {
            "Prompt": newest["prompt"],
            "Category": newest["category"],
            "Outcome": newest["outcome"].replace(names),
            "Labeller": newest["labeller"],
            f"{contender_name(contender).capitalize()} was": newest["contender_side"].str.upper(),
            "Seconds": newest["reading_seconds"],
            "Reason": newest["reason"],
            "When (UTC)": newest["created_at"].str.slice(0, 16).str.replace("T", " "),
        }
    )
    seconds = st.column_config.NumberColumn(format="%.1f")
    st.dataframe(rows, hide_index=True, column_config={"Seconds": seconds}, key="vote-rows")
    if len(votes) > SHOWN:
        st.caption(f"The newest {SHOWN:,} of {len(votes):,} votes.")
