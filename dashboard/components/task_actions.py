"""Do what a button of the Tasks page says; a refusal is shown on the page that follows. Owns the key `tasks-message`."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.components.gate import current_settings
from dashboard.services.access import MANAGE
from dashboard.services.wording import plain
from rlhf_core.errors import RlhfError


def acting(action: Callable[..., object], *arguments: object) -> None:
    """Do it for an owner, and keep what a refusal says."""
    try:
        current_settings().visitor.require(MANAGE)
        action(*arguments)
    except RlhfError as error:
        st.session_state["tasks-message"] = str(error)


def show_refusal() -> None:
    """Show what the last refusal said, once."""
    if message := st.session_state.pop("tasks-message", ""):
        st.warning(plain(message), icon=":material/error:")
