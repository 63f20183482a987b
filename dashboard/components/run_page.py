"""One run as it stands: its stages, why it stopped, what it printed, its settings; pause, resume, a new one from it."""

from __future__ import annotations

import streamlit as st

from dashboard.components.look import page_heading
from dashboard.components.run_actions import buttons, follow, go_to, show_refusal
from dashboard.components.run_list import state_badge
from dashboard.components.runs import BUSY_SECONDS, IDLE_SECONDS
from dashboard.components.stages import stage_table
from dashboard.components.states import guarded
from dashboard.services.launching import (
    RunRow,
    contention_words,
    failure_words,
    log_file,
    log_tail,
    run_row,
    run_rows,
    standing_words,
)
from dashboard.services.settings import Settings
from dashboard.services.wording import plain


def run_page(settings: Settings, name: str) -> None:
    """Show the run of a name."""
    st.button("All runs", key="runs-back", icon=":material/arrow_back:", type="tertiary", on_click=go_to, args=(None,))
    row = run_row(settings, name)
    page_heading(row.entry.label)
    show_refusal()
    before = row.state

    @st.fragment(run_every=BUSY_SECONDS if row.at_work else IDLE_SECONDS)
    def refreshed() -> None:
        follow(name)
        with guarded("This run"):
            now = run_row(settings, name)
            if now.state != before:
                st.rerun()
            _body(settings, now)

    refreshed()


def _body(settings: Settings, row: RunRow) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        state_badge(row)
        if row.state != "failed":  # why stands below
            st.markdown(plain(row.problem or standing_words(row)), width="content")
    if row.standing is None:
        return
    _why(row)
    buttons(row, on_list=False)
    if row.at_work and (others := contention_words(run_rows(settings), besides=row.entry.label)):
        st.caption(plain(others))
    st.markdown("#### Stages")
    stage_table(row.standing.status)
    _printed(row)
    with guarded("Its configuration"):
        settings_file = row.entry.path / "config.yaml"
        if settings_file.is_file():
            with st.expander("Its configuration", icon=":material/tune:", type="compact"):
                st.code(settings_file.read_text(encoding="utf-8", errors="replace"), language="yaml")


def _why(row: RunRow) -> None:
    if said := failure_words(row):
        st.error(plain(said), icon=":material/error:")
        st.caption("Try again goes on from the last checkpoint with the same settings; New run from this changes them.")


def _printed(row: RunRow) -> None:
    st.markdown("#### What it printed")
    if text := log_tail(row.entry):
        st.code(text, language=None, wrap_lines=True)
        st.caption(f"The end of {plain(log_file(row.entry))}")
    elif row.entry.recorded:
        st.caption("Nothing was kept of it.")
    else:
        st.caption("Nothing here: it was started in a terminal, or has not said anything yet.")
