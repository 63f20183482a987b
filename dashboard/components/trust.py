"""How far votes can be trusted: agreement, consensus, sides, and how well each labeller judges."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.components.look import data_behind
from dashboard.services import wording
from dashboard.services.labellers import COLUMN_HELP, labeller_table
from dashboard.services.results import Results
from rlhf_core.report.judged_words import agreement_sentence, consensus_sentence, side_sentence
from rlhf_core.report.parts import Votes


def trust(results: Results, pair: Votes) -> None:
    """Say how far labellers agree, what most chose, and whether a side was favoured."""
    st.markdown("#### How far to trust it")
    interval = f"The win rate’s interval: {pair.win_rate.method}, {wording.count(pair.win_rate.clusters, 'prompt')}."
    sides, agreed = side_sentence(pair.position_bias), agreement_sentence(results.agreement[pair.criterion])
    said = (agreed, consensus_sentence(pair), sides, interval)
    st.markdown("\n".join(f"- {wording.plain(sentence)}" for sentence in said if sentence))


def who_judged(results: Results, criterion: str) -> None:
    """Show how well each labeller judges, and in words what stands out; nobody is left out for it."""
    if results.labellers.empty:
        return
    mine = results.labellers.loc[results.labellers["criterion"] == criterion]
    st.markdown("#### Who judged")
    config = {name: st.column_config.TextColumn(name, help=text) for name, text in COLUMN_HELP.items()}
    config["Median seconds"] = st.column_config.NumberColumn(format="%.1f", help=COLUMN_HELP["Median seconds"])
    st.dataframe(labeller_table(mine), hide_index=True, column_config=config, key="labellers")
    flagged = [(row["labeller"], remark) for row in mine.to_dict("records") for remark in row["remarks"]]
    if flagged:
        st.markdown("\n".join(f"- **{wording.plain(who)}**: {wording.plain(what)}." for who, what in flagged))
    st.caption(
        "What stands out is shown with its evidence; every vote counts all the same. A remark needs odds of 1 in 40 or less, "
        "shared among all labellers. Of a ranking one pair counts here."
    )
    data_behind(pd.DataFrame(mine), "data-labellers", "Data behind the labellers")
