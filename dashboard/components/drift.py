"""Over-optimisation, shown: held-out reward against √KL with what was not optimised beside it, and how the run ended."""

from __future__ import annotations

from functools import partial

import streamlit as st

from dashboard.components.look import current_palette, data_behind, in_pairs, show_figure
from dashboard.components.samples import show_step
from dashboard.drift_chart import draw_drift
from dashboard.services import drift, wording
from dashboard.services.catalogue import RunEntry


def early_end(entry: RunEntry) -> None:
    """Say how the run ended when a guard ended it."""
    outcome = entry.reader.outcome()
    if outcome and outcome.early:
        st.info(wording.plain(outcome.sentence), icon=":material/flag:")


def drift_section(entry: RunEntry) -> None:
    """Show every held-out measure against drift; nothing before the second measurement."""
    view = drift.view_drift(entry)
    if view is None:
        return
    st.markdown("#### Reward against drift")
    st.markdown(wording.plain(view.sentence))
    for measure, place in in_pairs(view.measures):
        name, unit = drift.describe_measure(measure)
        with place:
            st.markdown(f"**{wording.plain(name)}** :small[:gray[{wording.plain(unit)}]]")
            figure = draw_drift(view.frame, measure, view.marks, current_palette(), view.reach)
            heights = f"{name} in {unit}" if unit else name
            key = f"drift-{measure}"
            alt = f"{heights} against the root of the KL to the reference"
            show_figure(figure, key, alt, on_select=partial(_open_step, key))
    st.caption(
        "Held-out prompts, one dot a measurement, joined in order of steps. Blue is what training optimises, orange is not: "
        "a score that rises while the others give way is over-optimised. A dot brings its step's completions below."
    )
    data_behind(view.frame, "data-drift", "Data behind reward against drift")


def _open_step(key: str) -> None:
    """Show the completions of the measurement that was pointed at."""
    points = st.session_state[key]["selection"]["points"]
    if points and "customdata" in points[0]:
        show_step(int(points[0]["customdata"]["0"]))  # the first column, as Streamlit names it
