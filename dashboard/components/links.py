"""Links from one page to another by name. Owns the key `pages`, which the app fills before a page runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import streamlit as st

BOTH_ANSWERS = "Both answers"
"""The column of a table whose cells lead to the Compare page."""


def remember_pages(pages: Iterable[Any]) -> None:
    """Keep the app's pages by title."""
    st.session_state["pages"] = {page.title: page for page in pages}


def link_to(title: str, label: str, **address: str) -> None:
    """Show a link to the page of that title, with its icon; `address` goes into the query of its address."""
    page = st.session_state["pages"][title]
    st.page_link(page, label=label, icon=page.icon, query_params=address or None)


def answers_column() -> Any:
    """Return how a column of `answers_address` looks: a link each that opens beside this page."""
    return st.column_config.LinkColumn(
        BOTH_ANSWERS, display_text="Compare", width=105, help="Opens both answers to this prompt on the Compare page"
    )
