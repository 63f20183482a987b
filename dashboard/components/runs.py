"""The run picker in the sidebar, and refreshing while a run is being written. Owns the keys `run`, `run-shown` and `compare`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import streamlit as st
from streamlit.errors import StreamlitAPIException

from dashboard.components.states import empty_state
from dashboard.services.catalogue import RunEntry, first_choice, imported_from, list_entries
from dashboard.services.settings import Settings
from dashboard.services.wording import plain
from rlhf_core.errors import RlhfError

BUSY_SECONDS, IDLE_SECONDS = 2, 15
SHOWN = "run-shown"
"""Outlasts going to another page, which may empty the widget's own key."""
START_COMMAND = "rlhf pipeline configs/quickstart.yaml"


def pick_run(settings: Settings) -> RunEntry | None:
    """Return the run chosen in the sidebar, at first the newest with a result; show how to start one when there is none."""
    entries = list_entries(settings)
    if not entries:
        empty_state(
            "No runs yet",
            f"Runs appear here as soon as they start. This page looks in `{settings.run_root}`.",
            START_COMMAND,
        )
        return None
    names = {entry.label: entry for entry in entries}
    held, asked, before = st.session_state.get("run"), st.query_params.get("run"), st.session_state.get(SHOWN)
    new = held if held != before else None  # chosen just now; else the address decides, and says which run it is
    shown = next((name for name in (new, asked, before) if name in names), entries[first_choice(entries)].label)
    st.session_state["run"] = shown  # said every time: after a link the box is empty otherwise
    if asked != shown and new is None:  # what was chosen just now the widget says itself
        with suppress(StreamlitAPIException):  # after the browser's Back the address is the widget's already
            st.query_params["run"] = shown
    st.sidebar.markdown(":small[Run]")  # the widget's own label would add that it is required
    chosen = st.sidebar.selectbox(
        *("Run", list(names)),
        index=None,
        required=True,
        key="run",
        label_visibility="collapsed",
        persist_state="session",
        bind="query-params",
    )
    if chosen is None:  # the browser's Back to an address without a run empties the box, whatever the session holds
        st.rerun()
    entry = names[chosen]
    st.session_state[SHOWN] = entry.label
    if entry.recorded:
        st.sidebar.badge("recorded earlier, not live", icon=":material/history:", color="gray")
    if imported := imported_from(entry):
        st.sidebar.badge(f"imported: {plain(imported)}", icon=":material/download:", color="gray")
    for other in entries:
        if other.path != entry.path and _state(other) == "running":
            st.sidebar.badge(f"{other.label} is training", icon=":material/play_arrow:", color="blue")
    return entry


def pick_more_runs(settings: Settings, entry: RunEntry) -> list[RunEntry]:
    """Return `entry` and the runs chosen to be drawn over it."""
    others = {other.label: other for other in list_entries(settings) if other.path != entry.path}
    chosen = st.sidebar.multiselect(
        *("Compare with", list(others)),
        key="compare",
        persist_state="session",
        placeholder="Other runs",
        bind="query-params",
    )
    return [entry, *(others[label] for label in chosen)]


def live(body: Callable[[], None], settings: Settings, entry: RunEntry) -> None:
    """Draw `body` and redraw it in place: often while the run is written, seldom otherwise.

    The whole page runs again only when a run appears or disappears, or starts or stops being written.
    """
    before = _signature(settings, entry)

    @st.fragment(run_every=BUSY_SECONDS if before[1] == "running" else IDLE_SECONDS)
    def refreshed() -> None:
        if _signature(settings, entry) != before:
            st.rerun()
        body()

    refreshed()


def refreshing(body: Callable[[], None]) -> None:
    """Draw `body` and redraw it in place now and then."""
    st.fragment(run_every=IDLE_SECONDS)(body)()


def _signature(settings: Settings, entry: RunEntry) -> tuple[tuple[str, ...], str]:
    return tuple(sorted(other.label for other in list_entries(settings))), _state(entry)


def _state(entry: RunEntry) -> str:
    try:
        return entry.reader.status().state
    except RlhfError:
        return "damaged"
