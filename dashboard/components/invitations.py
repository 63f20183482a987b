"""Inviting people and showing them out. Owns the keys that begin with `people`."""

from __future__ import annotations

import streamlit as st

from dashboard.components.gate import current_settings
from dashboard.services import people
from dashboard.services.settings import Settings
from dashboard.services.wording import plain
from rlhf_core.errors import RlhfError
from rlhf_core.feedback.people import DAYS, LONGEST_NAME, MOST_DAYS
from rlhf_core.feedback.schema import ROLES

MEANING = {
    "labeller": "judges open tasks, blind, and sees nothing else",
    "reviewer": "reads everything, and judges",
    "owner": "does everything, and invites people",
}


def invite_form(settings: Settings) -> None:
    """Ask whom to invite, and show the new link once."""
    with st.form("people-invite", clear_on_submit=True):
        left, middle, right = st.columns([3, 4, 2], vertical_alignment="bottom")
        left.text_input("Name", key="people-name", max_chars=LONGEST_NAME, help="Votes are kept under it")
        middle.selectbox(
            "Role",
            ROLES[::-1],
            key="people-role",
            format_func=lambda role: f"{role.capitalize()}: {MEANING[role]}",
        )
        right.number_input("Days", 1, MOST_DAYS, DAYS, key="people-days", help="How long the link lasts")
        st.form_submit_button("Make a link", on_click=_invite)
    if message := st.session_state.pop("people-message", ""):
        st.error(plain(message), icon=":material/error:")
    if made := st.session_state.pop("people-link", None):
        name, link = made
        st.markdown(f"The link of **{plain(name)}**. It is shown this once: copy it, and send it in private.")
        st.code(link, language=None, wrap_lines=True)


def people_table(settings: Settings) -> None:
    """Show everybody who was invited."""
    st.markdown("#### Invited")
    st.dataframe(people.list_people(settings), hide_index=True, key="people-table")


def revoke_form(settings: Settings) -> None:
    """Let an owner end somebody's link."""
    names = people.revocable(settings)
    if not names:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox("Whose link ends", names, key="people-revoke", width=320)
        st.button("Revoke", on_click=_revoke, help="Signs them out everywhere, at once; their votes are kept")


def record_of_access(settings: Settings) -> None:
    """Show who came and went; sent once it is opened."""
    panel = st.expander("Who came and went", key="people-record", type="compact", on_change="rerun")
    if panel.open:
        panel.dataframe(people.record(settings), hide_index=True)


def _invite() -> None:
    state = st.session_state
    try:
        link = people.invite(current_settings(), state["people-name"], state["people-role"], state["people-days"])
        state["people-link"] = (state["people-name"].strip(), link)
    except RlhfError as error:
        state["people-message"] = str(error)


def _revoke() -> None:
    try:
        people.revoke(current_settings(), st.session_state["people-revoke"])
    except RlhfError as error:
        st.session_state["people-message"] = str(error)
