"""Start, pause, stop and resume a run, and move between the list, one run and the form. The address says where: `?open=NAME`.

Owns the keys `runs-view` and `runs-message`.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.components.gate import current_settings
from dashboard.components.links import link_to
from dashboard.services import launching
from dashboard.services.launching import RunRow
from dashboard.services.run_drafts import OF_A_RUN
from dashboard.services.wording import plain
from rlhf_core.config import PipelineConfig
from rlhf_core.errors import RlhfError

VIEW, ALL, NEW = "view", "All runs", "New run"
OPEN, MESSAGE = "open", "runs-message"
PAUSING = "Stops after the training step under way, which is kept; other work stops at once and is done again"


def asked_run() -> str | None:
    """Return the run that the address asks for."""
    return st.query_params.get(OPEN)


def go_to(name: str | None) -> None:
    """Put a run into the address, or nothing for the list."""
    st.session_state[VIEW] = ALL
    if name is None:
        st.query_params.pop(OPEN, None)
    else:
        st.query_params[OPEN] = name


def follow(name: str | None) -> None:
    """Draw the whole page again when a button within a part that refreshes on its own has led elsewhere, or was refused.

    `name` is the run that is shown, None on the list.
    """
    if asked_run() != name or st.session_state.get(VIEW) == NEW or MESSAGE in st.session_state:
        st.rerun()


def new_from(label: str) -> None:
    """Open the form on a run's configuration."""
    st.query_params.pop(OPEN, None)
    st.session_state[VIEW] = NEW
    st.session_state["start"] = f"{OF_A_RUN}{label}"


def begin(config: PipelineConfig, afterwards: Callable[[], None]) -> None:
    """Start a run and show it; a refusal is shown on the form, which keeps what was typed."""

    def act() -> None:
        go_to(launching.start(current_settings(), config))
        afterwards()

    _acting(act)


def buttons(row: RunRow, *, on_list: bool) -> None:
    """Show what can be done with a run as it stands; `on_list` adds the way to its page."""
    name, label = row.entry.name, row.entry.label
    where = f"{'list' if on_list else 'page'}-{name}"
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if row.can_pause:
            st.button(
                "Pause",
                key=f"runs-pause-{where}",
                icon=":material/pause:",
                on_click=_pause,
                args=(label,),
                help=PAUSING,
            )
        if row.can_stop_now:
            st.button(
                "Stop now", key=f"runs-stop-{where}", icon=":material/stop:", on_click=_stop_now, args=(label,),
                help="Gives up the step under way: the run goes on from its last checkpoint",
            )  # fmt: skip
        if row.can_resume:
            words = {"failed": "Try again", "new": "Start", "complete": "Finish the round"}.get(row.state, "Resume")
            icon = ":material/play_arrow:"
            st.button(words, key=f"runs-resume-{where}", icon=icon, on_click=_resume, args=(label,))
        if on_list:
            st.button("Look closer", key=f"runs-open-{name}", on_click=go_to, args=(label,))
        elif row.state != "damaged":
            st.button("New run from this", key="runs-again", icon=":material/add:", on_click=new_from, args=(label,))
            link_to("Training", "Its curves", run=label)


def show_refusal() -> None:
    """Show what the last refusal said, once."""
    if message := st.session_state.pop(MESSAGE, ""):
        st.warning(plain(message), icon=":material/error:")


def _pause(label: str) -> None:
    _acting(lambda: launching.pause(current_settings(), label))


def _stop_now(label: str) -> None:
    _acting(lambda: launching.stop_now(current_settings(), label))


def _resume(label: str) -> None:
    _acting(lambda: launching.resume(current_settings(), label))


def _acting(action: Callable[[], None]) -> None:
    try:
        action()
    except RlhfError as error:
        st.session_state[MESSAGE] = str(error)
