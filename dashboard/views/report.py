"""Report: a preview of exactly what is exported, and the files."""

from __future__ import annotations

import streamlit as st

from dashboard.components.gate import current_settings
from dashboard.components.look import page_heading
from dashboard.components.report_files import HEIGHT, downloads, preview
from dashboard.components.runs import pick_run
from dashboard.components.states import guarded
from dashboard.services.reports import report_of


def show() -> None:
    """Draw the page."""
    settings = current_settings()
    if (entry := pick_run(settings)) is None:
        return
    page_heading("Report", "Everything this run shows, in files that open anywhere, with the same numbers in each.")
    with guarded("The report"):
        with st.skeleton(height=HEIGHT):
            report = report_of(settings, entry)
        downloads(report, entry.name)
        preview(report)
