"""The files of a report: a button for each format, and a preview of the very file that is downloaded."""

from __future__ import annotations

import streamlit as st

from dashboard.services import wording
from dashboard.services.reports import Report, pages_of
from rlhf_core.report.pdf import PreviewPage

HEIGHT = 900
PAGES = 12
"""So many pages of the PDF are shown."""
PAGE_WIDTH = 820
TEXTS = {"Markdown": "markdown", "Model card": "markdown", "JSON": "json"}
SHOWN = 200_000
"""So many letters of a text file are shown; the download holds all of them."""


def downloads(report: Report, name: str) -> None:
    """Draw a download button for each format."""
    files = (
        ("PDF", report.pdf, f"{name}-report.pdf", "application/pdf", ":material/picture_as_pdf:"),
        ("HTML", report.html, f"{name}-report.html", "text/html", ":material/html:"),
        ("Markdown", report.markdown, f"{name}-report.md", "text/markdown", ":material/markdown:"),
        ("JSON", report.json, f"{name}-report.json", "application/json", ":material/data_object:"),
        ("CSV tables", report.csv, f"{name}-csv.zip", "application/zip", ":material/table:"),
        ("Parquet tables", report.parquet, f"{name}-parquet.zip", "application/zip", ":material/table_view:"),
        ("model card", report.card, "README.md", "text/markdown", ":material/id_card:"),
    )
    with st.container(horizontal=True):
        for label, data, file_name, mime, icon in files:
            st.download_button(
                f"Download {label}", data, file_name, mime, key=f"download-{label}", icon=icon, on_click="ignore"
            )


def preview(report: Report) -> None:
    """Draw the preview of one format, of which the address says which."""
    chosen = st.segmented_control(
        "Preview", ["HTML", "PDF", *TEXTS], default="HTML", required=True, key="preview", bind="query-params"
    )
    if chosen == "PDF":
        _pages(pages_of(report))
        return
    if chosen == "HTML":
        st.caption("The HTML file holds its pictures and needs no network. Below is exactly that file.")
        with st.container(border=True):
            st.iframe(report.html, height=HEIGHT, alt="Preview of the report")
        return
    text = {"Markdown": report.markdown, "Model card": report.card, "JSON": report.json}[chosen]
    cut = f" Its first {SHOWN:,} of {len(text):,} characters; the download has the rest." if len(text) > SHOWN else ""
    st.caption(f"Below is exactly what is downloaded.{cut}")
    st.code(text[:SHOWN], language=TEXTS[chosen], height=HEIGHT)


def _pages(pages: list[PreviewPage]) -> None:
    """Show the PDF's pages one below the other, as they are printed."""
    st.caption(_how_many(len(pages)))
    with st.container(border=True, height=HEIGHT, horizontal_alignment="center", key="pdf-pages"):
        for number, page in enumerate(pages[:PAGES], 1):
            begins = f"; here begin: {'; '.join(page.sections)}" if page.sections else ""
            with st.container(border=True, width=PAGE_WIDTH):
                st.image(page.image, alt=f"Page {number} of {len(pages)} of the PDF{begins}")


def _how_many(pages: int) -> str:
    """Say how many of the PDF's pages are shown, and where the rest is."""
    if pages <= PAGES:
        return f"Below {'is' if pages == 1 else 'are'} {wording.count(pages, 'page')}: all of the PDF, as it is downloaded."
    return f"Below are the first {PAGES} of the PDF’s {pages} pages, as they are downloaded. Download PDF has the rest."
