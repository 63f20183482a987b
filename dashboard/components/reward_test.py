"""The reward model's own test: how often it agrees with people, how sure it may be, where it is weak."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import charts
from dashboard.components.look import current_palette, data_behind, show_figure
from dashboard.components.states import empty_state
from dashboard.services import wording
from dashboard.services.catalogue import RunEntry


def reward_test(entry: RunEntry) -> None:
    """Show calibration and accuracy by category of the held-out pairs."""
    st.markdown("#### Can the reward model be trusted?")
    test = entry.reader.evaluation("reward_model")
    if test is None:
        empty_state("Not tested yet", "The evaluation stage tests it on held-out pairs.", "rlhf evaluate CONFIG.yaml")
        return
    accuracy = test["accuracy"]
    share = wording.percent_interval(accuracy["value"], accuracy["low"], accuracy["high"])
    longer = wording.percent(test["length"]["longer_wins"])
    st.markdown(
        wording.plain(
            f"It picks the answer people chose in {share} of {test['n_pairs']} held-out pairs "
            f"({test['n_prompts']} prompts). Picking the longer answer would be right in {longer}."
        )
    )
    left, right = st.columns(2, gap="medium")
    with left:
        _calibration(test["reliability"])
    with right:
        _categories(pd.DataFrame(test["by_category"]))
    st.caption(f"Model: {wording.plain(str(test['model']))}. Larger dots hold more pairs.")
    data_behind(pd.DataFrame(test["by_category"]), "data-reward-test")


def _calibration(bins: list[dict[str, float]]) -> None:
    st.markdown("**Confidence against being right**")
    figure = charts.reliability(bins, current_palette())
    show_figure(figure, "reliability", "How often the reward model is right at each confidence")


def _categories(rows: pd.DataFrame) -> None:
    st.markdown("**Accuracy by category**")
    figure = charts.intervals(
        list(rows["category"]),
        list(rows[["accuracy", "low", "high"]].itertuples(index=False, name=None)),
        current_palette(),
        reference=0.5,
        x_title="held-out accuracy, 95% interval",
        share=True,
    )
    show_figure(figure, "reward-categories", "Held-out accuracy with its interval in each category")
