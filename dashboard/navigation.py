"""The pages of the app, in order."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.components.links import remember_pages
from dashboard.views import judge, overview, report, results, tasks, toxicity, training

VIEWS = (
    (overview, "Overview", ":material/dashboard:"),
    (training, "Training", ":material/show_chart:"),
    (toxicity, "Toxicity", ":material/shield:"),
    (tasks, "Tasks", ":material/assignment:"),
    (judge, "Judge", ":material/balance:"),
    (results, "Results", ":material/how_to_vote:"),
    (report, "Report", ":material/description:"),
)


def choose_page(first: str = "Overview") -> Any:
    """Show the navigation and return the page the user is on; `first` is the one at the bare address."""
    pages = [
        st.Page(view.show, title=title, icon=icon, url_path=title.lower(), default=title == first)
        for view, title, icon in VIEWS
    ]
    remember_pages(pages)
    return st.navigation(pages)
