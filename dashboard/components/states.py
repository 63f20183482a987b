"""Empty and error states: what belongs here, the one command that gets there, and errors that leave the page alive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from dashboard.services.wording import plain
from rlhf_core.errors import RlhfError


def empty_state(title: str, text: str, command: str | None = None) -> None:
    """Say what this place will show and the command that gets there."""
    with st.container(border=True):
        st.markdown(f"**{title}**")
        st.markdown(text)
        if command:
            st.code(command, language=None, wrap_lines=True)  # a line that scrolls is out of the keyboard's reach


@contextmanager
def guarded(part: str) -> Iterator[None]:
    """Show a user's error in place of one part of the page; the other parts go on working."""
    try:
        yield
    except RlhfError as error:
        st.error(f"**{part} cannot be shown.** {plain(str(error))}", icon=":material/error:")
