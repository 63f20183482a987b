"""Results: what people prefer, with its interval; who judged, how, and the votes themselves; and what is declined."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import charts
from dashboard.components.gate import current_settings
from dashboard.components.links import link_to
from dashboard.components.look import current_palette, page_heading, show_figure
from dashboard.components.refusals import refusal_section
from dashboard.components.runs import live, pick_run
from dashboard.components.states import empty_state, guarded
from dashboard.services import wording
from dashboard.services.catalogue import RunEntry
from dashboard.services.results import OUTCOME_NAMES, Results, bias_sentence, interval_sentence, summarise_votes
from dashboard.services.settings import Settings
from dashboard.services.voting import human_votes, simulated_votes, simulation_rule
from rlhf_core.evaluation.statistics import Estimate

HUMAN, SIMULATED = "Human votes", "Simulated votes"
NO_VOTES = "The Judge page shows pairs blind, side by side. The win rate appears here with the first vote."
NOT_PEOPLE = """**Simulated votes.** A rule made them, no person judged: they show how this page works and say nothing
about quality."""
ONE_LOOK = """It holds for one look at a number of votes fixed beforehand; stopping as soon as it clears 50% makes
false alarms likely."""


def show() -> None:
    """Draw the page."""
    settings = current_settings()
    if (entry := pick_run(settings)) is None:
        return
    live(lambda: _body(settings, entry), settings, entry)


def _body(settings: Settings, entry: RunEntry) -> None:
    heading = st.container()
    with guarded("The votes"):
        human, simulated = human_votes(settings, entry), simulated_votes(entry)
        source = _choose(human, simulated)
        votes = simulated if source == SIMULATED else human
        results = summarise_votes(votes)
        with heading:
            page_heading("Results", results.sentence if results else "Nobody has judged this run yet.")
        if source == SIMULATED:
            _say_simulated(entry)
        if results is None:
            empty_state("No human votes yet", NO_VOTES)
            link_to("Judge", "Judge some pairs, blind")
        else:
            _evidence(results)
    with guarded("The test of refusals"):
        refusal_section(entry)


def _choose(human: pd.DataFrame, simulated: pd.DataFrame) -> str:
    if simulated.empty:
        return HUMAN
    sizes = {HUMAN: len(human), SIMULATED: len(simulated)}
    return st.segmented_control(
        "Which votes (they are never mixed)",
        list(sizes),
        default=HUMAN if len(human) else SIMULATED,
        required=True,
        format_func=lambda name: f"{name} ({sizes[name]})",
        key="votes",
    )


def _say_simulated(entry: RunEntry) -> None:
    st.warning(NOT_PEOPLE, icon=":material/smart_toy:")
    if rule := simulation_rule(entry):
        with st.expander("The rule that made them", type="compact"):
            st.text(rule)


def _evidence(results: Results) -> None:
    palette = current_palette()
    figure = charts.outcome_bar(results.shares, OUTCOME_NAMES, palette)
    show_figure(figure, "outcomes", "Shares of tuned wins, ties, both bad and base wins")
    cells = [f"{name} {_share(results.shares[outcome])}" for outcome, name in OUTCOME_NAMES.items()]
    st.caption(wording.plain(" · ".join(cells)))
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.markdown("**Win rate of the tuned model by category**")
        rows = [(one.value, one.low, one.high) for one in results.categories.values()]
        names = [f"{name or 'none'} (n = {one.n})" for name, one in results.categories.items()]
        figure = charts.intervals(names, rows, palette, reference=0.5, x_title="win rate, 95% interval", share=True)
        show_figure(figure, "categories", "Win rate with its interval in each category")
    with right:
        st.markdown("**How far to trust it**")
        st.markdown(wording.plain(bias_sentence(results.bias)))
        st.markdown(f"{wording.plain(interval_sentence(results.rate))} {ONE_LOOK}")
    st.markdown("#### Who judged")
    _labeller_table(results.labellers)
    st.markdown("#### The votes")
    seconds = st.column_config.NumberColumn(format="%.1f")
    st.dataframe(results.rows, hide_index=True, column_config={"Seconds": seconds}, key="vote-rows", height=320)


def _labeller_table(labellers: pd.DataFrame) -> None:
    config = {
        "Tuned wins, %": st.column_config.NumberColumn(format="%.0f", help="Ties and both bad count half"),
        "Ties and both bad, %": st.column_config.NumberColumn(format="%.0f"),
        "Median seconds": st.column_config.NumberColumn(format="%.1f", help="From showing a pair to the verdict"),
    }
    st.dataframe(labellers, hide_index=True, column_config=config, key="labellers")


def _share(share: Estimate) -> str:
    return wording.percent_interval(share.value, share.low, share.high)
