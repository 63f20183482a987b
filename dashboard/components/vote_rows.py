"""The votes themselves, newest first."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from dashboard.components.links import BOTH_ANSWERS, answers_column
from dashboard.services.wording import contender_name
from rlhf_core.report.words import outcome_name, sentence_case

SHOWN = 2000
"""So many rows are sent to the browser; the report's CSV has all."""


def vote_rows(votes: pd.DataFrame, addresses: Mapping[str, str]) -> None:
    """Show the newest votes of one criterion and pair, each with the way to both answers by `addresses` of prompts."""
    st.markdown("#### The votes")
    newest = votes.sort_values("vote_id", ascending=False).head(SHOWN)
    seconds = st.column_config.NumberColumn(format="%.1f")
    rows = vote_table(newest).drop(columns="Criterion")
    config = {"Seconds": seconds}
    if addresses:
        rows.insert(0, BOTH_ANSWERS, newest["prompt_id"].map(addresses.get))
        config[BOTH_ANSWERS] = answers_column()
    st.dataframe(rows, hide_index=True, column_config=config, key="vote-rows", alt="The votes, newest first")
    if len(votes) > SHOWN:
        st.caption(f"The newest {SHOWN:,} of {len(votes):,} votes.")


def vote_table(votes: pd.DataFrame) -> pd.DataFrame:
    """Return the votes of one pair in words, a column for each thing known of them."""
    baseline, contender = (str(votes[side].iloc[0]) for side in ("baseline", "contender"))
    names = {outcome: outcome_name(outcome, baseline, contender) for outcome in votes["outcome"].unique()}
    return pd.DataFrame(
        {
            "Prompt": votes["prompt"],
            "Category": votes["category"],
            "Criterion": votes["criterion"],
            "Outcome": votes["outcome"].replace(names),
            "Labeller": votes["labeller"],
            f"{sentence_case(contender_name(contender))} was": votes["contender_side"].str.upper(),
            "Seconds": votes["reading_seconds"],
            "Reason": votes["reason"],
            "When (UTC)": votes["created_at"].str.slice(0, 16).str.replace("T", " "),
        }
    )
