"""Compare: two contenders prompt by prompt, what they wrote and what people said of it; phrases, slices, length."""

from __future__ import annotations

import streamlit as st

from dashboard.components.compare_choice import URL, Browsed, browse, choose
from dashboard.components.compare_phrases import phrases
from dashboard.components.compare_prompts import prompts
from dashboard.components.compare_slices import against_length, by_slices
from dashboard.components.gate import current_settings
from dashboard.components.imported import empty_place
from dashboard.components.look import page_heading
from dashboard.components.runs import live, pick_run
from dashboard.components.states import guarded
from dashboard.services.catalogue import RunEntry
from dashboard.services.compare_words import CHOSEN_BY_OUTCOME, against_sentence, headline
from dashboard.services.comparing import pairs_of
from dashboard.services.prompt_table import kept_sentence
from dashboard.services.settings import Settings

PARTS = {"Prompts": prompts, "Phrases": phrases, "Slices": by_slices, "Length": against_length}
WHAT = "Answers of two contenders appear here side by side, prompt by prompt, with scores and votes."

SKELETON = 620
"""Pixels: the table of prompts and the first lines of both answers."""


def show() -> None:
    """Draw the page."""
    settings = current_settings()
    if (entry := pick_run(settings)) is None:
        return
    live(lambda: _body(settings, entry), settings, entry)


def _body(settings: Settings, entry: RunEntry) -> None:
    heading, choices = st.container(), st.container()
    with guarded("The comparison"):
        if not pairs_of(entry):
            with heading:
                page_heading("Compare")
            empty_place(entry, "compare", "Nothing to compare yet", WHAT, "rlhf generate CONFIG.yaml")
            return
        with st.skeleton(height=SKELETON), choices:
            browsed = browse(*choose(settings, entry))
        with heading:
            _heading(browsed)
        part = st.segmented_control(
            "Look at", list(PARTS), default="Prompts", required=True, key="compare-view", bind=URL,
            label_visibility="collapsed",
        )  # fmt: skip
        if part != "Prompts" and browsed.filters.by_outcome:
            st.caption(CHOSEN_BY_OUTCOME)
        PARTS.get(part, prompts)(browsed)


def _heading(browsed: Browsed) -> None:
    compared, table, kept = browsed.compared, browsed.table, browsed.kept
    simulated = browsed.votes is not None and browsed.votes.simulated
    rest = (kept_sentence(kept, browsed.filters, compared.left_out), against_sentence(table, kept, simulated))
    page_heading("Compare", headline(compared, table, kept), " ".join(filter(None, rest)))
