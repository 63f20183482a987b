"""Who looks at the page. Every view takes its settings from here, and services refuse what the person in them may not."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dashboard.services.access import Visitor
from dashboard.services.people import find_visitor
from dashboard.services.settings import Settings, read_settings


def current_settings() -> Settings:
    """Return the settings with who looks in them, found anew by the cookie of the browser's connection."""
    settings = read_settings()
    host = st.get_option("server.address")
    return replace(settings, visitor=find_visitor(settings, st.context.cookies, host))


def current_visitor() -> Visitor:
    """Return who looks."""
    return current_settings().visitor


def sign_of_the_visitor(visitor: Visitor) -> None:
    """Say in the sidebar who is signed in, with the way out; nothing in local mode."""
    if visitor.name:
        with st.sidebar.container(horizontal=True, vertical_alignment="center", key="visitor"):
            st.caption(f"{visitor.name}, {visitor.role}", width="stretch")
            st.link_button("Sign out", "/leave", type="tertiary")
