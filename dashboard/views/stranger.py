"""What somebody without a valid link sees."""

from __future__ import annotations

import streamlit as st

from dashboard.components.gate import current_settings
from dashboard.components.states import empty_state


def show() -> None:
    """Draw the page."""
    if current_settings().team_url is None:
        st.title("Not without accounts", anchor=False)
        text = "This dashboard listens for others too, and would show them everything. Start it for a team instead."
        empty_state("Nothing is shown", text, "rlhf dashboard --team")
        return
    st.title("By invitation", anchor=False)
    st.markdown("Open the link you were sent. If it has expired, ask the owner of this studio for a new one.")
