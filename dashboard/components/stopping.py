"""May I stop, and how many votes do I need? Owns keys `plan-…`."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.components.look import current_palette, data_behind, show_figure
from dashboard.result_charts import stop_path
from dashboard.services import wording
from dashboard.services.planner import plan_sentences
from rlhf_core.report.judged_words import stop_sentence
from rlhf_core.report.parts import Votes

BEYOND = 0.05


def may_stop(pair: Votes) -> None:
    """Say whether one may stop, draw the interval that holds at every look, and offer the planner."""
    stop = pair.stop
    st.markdown("#### May I stop?")
    st.markdown(wording.plain(stop_sentence(stop)))
    if len(stop.path) > 1:
        figure = stop_path(stop.path, stop.settled_at, current_palette())
        show_figure(figure, "stop", f"The interval that holds at every look, over prompts. {stop_sentence(stop)}")
        table = pd.DataFrame(stop.path, columns=["prompts", "low", "high"])
        data_behind(table, "data-stop", "Data behind this interval")
    with st.expander("How many votes do I need?", key="plan", icon=":material/calculate:", type="compact"):
        planner(pair)


@st.fragment
def planner(pair: Votes) -> None:
    """Ask what is expected of the votes, at first what they show so far, and answer in place."""
    undecided = round(100 * (pair.shares["tie"].value + pair.shares["both_bad"].value))
    share = round(100 * pair.win_rate.value)
    expected = share if abs(share - 50) >= 100 * BEYOND else 60
    with st.container(horizontal=True, gap="medium"):
        score = st.number_input(
            "Expected win rate, %", 1, 99, min(max(expected, 1), 99), key="plan-score", width=180,
            help="Or the smallest difference from 50% that matters",
        )  # fmt: skip
        ties = st.number_input("Ties and both bad, %", 0, 99, min(undecided, 99), key="plan-ties", width=180)
        overlap = st.number_input("Votes on each prompt", 1, 20, pair.stop.overlap, key="plan-overlap", width=180)
        alike = st.number_input(
            "Likeness of two votes on a prompt", 0.0, 1.0, 0.3, 0.1, key="plan-alike", width=220,
            disabled=overlap == 1, help="Their correlation: 0 as on different prompts, 1 always the same",
        )  # fmt: skip
    for sentence in plan_sentences(score / 100, ties / 100, int(overlap), float(alike)):
        st.markdown(wording.plain(sentence))
