"""Every run as a row that refreshes in place: state, stage, progress, time left, the last line it printed.

Owns the key `runs-all`.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.components.run_actions import buttons, follow
from dashboard.components.runs import BUSY_SECONDS, IDLE_SECONDS
from dashboard.components.states import empty_state, guarded
from dashboard.services.launching import RunRow, progress_words, run_rows, standing_words
from dashboard.services.settings import Settings
from dashboard.services.wording import ago, plain

BADGES: dict[str, Any] = {
    "starting": ("starting", ":material/hourglass_top:", "blue"),
    "running": ("running", ":material/play_arrow:", "blue"),
    "pausing": ("pausing", ":material/hourglass_bottom:", "orange"),
    "paused": ("paused", ":material/pause:", "orange"),
    "interrupted": ("interrupted", ":material/power_off:", "orange"),
    "failed": ("failed", ":material/error:", "red"),
    "complete": ("complete", ":material/check:", "green"),
    "recorded": ("recorded", ":material/history:", "gray"),
    "new": ("not started", ":material/schedule:", "gray"),
    "damaged": ("cannot be read", ":material/error:", "red"),
}
SHOWN = 20


def run_list(settings: Settings) -> None:
    """Show all runs; those at work stand first and keep up with their processes."""
    busy = any(row.at_work for row in run_rows(settings))

    @st.fragment(run_every=BUSY_SECONDS if busy else IDLE_SECONDS)
    def refreshed() -> None:
        follow(None)
        with guarded("The list of runs"):
            rows = run_rows(settings)
            if any(row.at_work for row in rows) != busy:
                st.rerun()
            _rows(rows)

    refreshed()


def _rows(rows: list[RunRow]) -> None:
    if not rows:
        empty_state(
            "No runs yet", "Start one here under New run, or in a terminal:", "rlhf pipeline configs/quickstart.yaml"
        )
    shown = rows if st.session_state.get("runs-all") else rows[:SHOWN]
    for row in shown:
        _row(row)
    if len(shown) < len(rows):
        st.button(f"Show {len(rows) - len(shown)} more", key="runs-more", on_click=_show_all)


def _show_all() -> None:
    st.session_state["runs-all"] = True


def _row(row: RunRow) -> None:
    with st.container(border=True, key=f"runs-row-{row.entry.name}"):
        what, progress, act = st.columns([5, 3, 3], vertical_alignment="center", gap="medium")
        with what:
            with st.container(horizontal=True, gap="small", vertical_alignment="center"):
                st.markdown(f"**{plain(row.entry.label)}**", width="content")
                state_badge(row)
            st.caption(plain(row.problem or standing_words(row)))
        with progress:
            if row.standing and row.state not in ("complete", "recorded"):
                st.progress(row.progress, progress_words(row))
            st.caption(f"started {ago(row.began)}" if row.began else "never started")
        with act:
            buttons(row, on_list=True)
        if row.at_work and row.last_line:
            st.caption(f":material/terminal: {plain(row.last_line)}")


def state_badge(row: RunRow) -> None:
    """Show a run's state as a badge."""
    label, icon, colour = BADGES[row.state]
    st.badge(label, icon=icon, color=colour)
