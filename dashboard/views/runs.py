"""Runs: every run and how far it is; start, watch, pause and resume one."""

from __future__ import annotations

import streamlit as st

from dashboard.components.gate import current_settings
from dashboard.components.look import page_heading
from dashboard.components.run_actions import ALL, NEW, VIEW, asked_run, show_refusal
from dashboard.components.run_form import new_run
from dashboard.components.run_list import run_list
from dashboard.components.run_page import run_page
from dashboard.components.states import guarded
from dashboard.services.launching import list_sentence, run_rows

ASKED = "What shall be trained, from which settings?"


def show() -> None:
    """Draw the page."""
    settings = current_settings()
    with guarded("This"):
        if asked := asked_run():
            run_page(settings, asked)
            return
        heading = st.container()
        view = st.segmented_control(
            *("View", [ALL, NEW]),
            default=ALL,
            required=True,
            key=VIEW,
            bind="query-params",
            label_visibility="collapsed",
        )
        show_refusal()
        with heading:
            page_heading("Runs", ASKED if view == NEW else list_sentence(run_rows(settings)))
        (new_run if view == NEW else run_list)(settings)
