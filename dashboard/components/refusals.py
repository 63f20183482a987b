"""The test of refusals: how often each contender declines safe prompts, and unsafe ones beside them."""

from __future__ import annotations

import streamlit as st

from dashboard import charts
from dashboard.components.look import current_palette, data_behind, show_figure
from dashboard.services import wording
from dashboard.services.catalogue import RunEntry
from dashboard.services.refusals import Panel, view_refusals


def refusal_section(entry: RunEntry) -> None:
    """Show the shares declined; nothing for a run without a test of refusals."""
    view = view_refusals(entry)
    if view is None:
        return
    st.markdown("#### Declined")
    st.markdown(wording.plain(view.sentence))
    for place, panel in zip(st.columns(2, gap="medium"), view.panels, strict=False):
        with place:
            _panel(panel, view.upper)
    first = view.panels[0].names[0]
    st.caption(wording.plain(f"The line marks the {first}'s share. {view.note}"))
    data_behind(view.frame, "data-refusals", "Data behind the refusals")


def _panel(panel: Panel, upper: float) -> None:
    palette = current_palette()
    st.markdown(f"**{wording.plain(panel.title)}** :small[:gray[{wording.plain(panel.meaning)}]]")
    figure = charts.intervals(
        panel.names,
        panel.points,
        palette,
        reference=panel.points[0][0],
        x_title="share declined, 95% interval",
        share=True,
        upper=upper,
        colours=[palette.contender(rate.contender) for rate in panel.rates],
    )
    show_figure(figure, f"declined-{panel.category}", f"Share of {panel.category} prompts declined, with its interval")
    st.caption("  \n".join(wording.plain(line) for line in panel.numbers))
