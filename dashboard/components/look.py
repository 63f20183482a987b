"""The palette of the browser's theme, figures with their alt text, and the line that answers the page's question."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard.palette import DARK, LIGHT, Palette
from dashboard.services.wording import plain

T = TypeVar("T")
CHART_CONFIG = {"displayModeBar": False, "scrollZoom": False}
CHIPS = """<style>
[data-testid="stMultiSelectTagsContainer"] [data-tag] {
  color: inherit; background: color-mix(in srgb, currentColor 14%, transparent);
}
</style>"""
"""Streamlit writes white on the primary colour, which nobody could read in the dark theme."""


def current_palette() -> Palette:
    """Return the colours for the theme the browser shows."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def dress_chips() -> None:
    """Give what is chosen in a list the colour of text, in every theme."""
    st.html(CHIPS)


def page_heading(title: str, sentence: str = "", more: str = "") -> None:
    """Open a page: its name, the answer in one sentence, and a quieter second one."""
    st.title(title, anchor=False)
    if sentence:
        st.subheader(plain(sentence), anchor=False)
    if more:
        st.markdown(f":gray[{plain(more)}]")


def show_figure(figure: go.Figure, key: str, alt: str, on_select: Callable[[], None] | None = None) -> None:
    """Show a figure under a fixed key, so that a refresh changes its data and nothing else.

    `on_select` is called once something was chosen in it, which stands in the session under the figure's key.
    """
    st.plotly_chart(figure, key=key, config=CHART_CONFIG, alt=alt, on_select=on_select or "ignore")


def in_pairs(things: Sequence[T]) -> Iterator[tuple[T, Any]]:
    """Yield each thing with the place to draw it in: two beside each other, row by row; on a phone one below the other."""
    for start in range(0, len(things), 2):
        yield from zip(things[start : start + 2], st.columns(2, gap="medium"), strict=False)


def data_behind(frame: pd.DataFrame, key: str, label: str = "Data behind this") -> None:
    """Offer the table behind a figure; it is sent only once it is opened."""
    panel = st.expander(label, key=key, icon=":material/table:", type="compact", on_change="rerun")
    if panel.open:
        panel.dataframe(frame, hide_index=True)
