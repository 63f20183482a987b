"""Report: a preview of exactly what is exported, and the files."""

from __future__ import annotations

import streamlit as st

from dashboard.components.gate import current_settings
from dashboard.components.look import page_heading
from dashboard.components.runs import pick_run
from dashboard.components.states import guarded
from dashboard.services.catalogue import RunEntry
from dashboard.services.reports import Report, build_report
from dashboard.services.settings import Settings
from dashboard.services.voting import human_votes

PREVIEW_HEIGHT = 900


def show() -> None:
    """Draw the page."""
    settings = current_settings()
    if (entry := pick_run(settings)) is None:
        return
    page_heading("Report", "Everything this run shows, in one file that opens anywhere.")
    with guarded("The report"):
        _report(settings, entry)


def _report(settings: Settings, entry: RunEntry) -> None:
    report = build_report(entry, human_votes(settings, entry))
    _downloads(report, entry.name)
    st.caption("The HTML file holds its pictures and needs no network. Below is exactly that file.")
    with st.container(border=True):
        st.iframe(report.html, height=PREVIEW_HEIGHT, alt="Preview of the report")


def _downloads(report: Report, name: str) -> None:
    files = (
        ("HTML", report.html, f"{name}-report.html", "text/html", ":material/html:"),
        ("Markdown", report.markdown, f"{name}-report.md", "text/markdown", ":material/markdown:"),
        ("CSV tables", report.tables, f"{name}-tables.zip", "application/zip", ":material/table:"),
        ("JSON", report.json, f"{name}-report.json", "application/json", ":material/data_object:"),
    )
    with st.container(horizontal=True):
        for label, data, file_name, mime, icon in files:
            st.download_button(
                f"Download {label}",
                data,
                file_name,
                mime,
                key=f"download-{label}",
                icon=icon,
                on_click="ignore",
            )
