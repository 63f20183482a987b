"""Blind judging by keyboard: the instructions, the item, the bar below. Owns the keys that begin with `judge`."""

from __future__ import annotations

import streamlit as st

from dashboard.components.ballot import (
    PAIR_KEYS,
    RANKING_KEYS,
    begin_reading,
    cast,
    pair_ballot,
    ranking_ballot,
    take_back,
)
from dashboard.components.gate import current_visitor
from dashboard.services.access import READ
from dashboard.services.voting import JudgingTask
from dashboard.services.wording import plain
from rlhf_core.errors import VoteError
from rlhf_core.feedback.records import Assignment
from rlhf_core.feedback.store import VoteStore

PANEL_HEIGHTS = (150, 360)
LINE_HEIGHT, LINE_LETTERS = 26, 50
STRENGTHS = {"slightly": 1, "clearly": 2, "much": 3}


def instructions_screen(task: JudgingTask) -> None:
    """Show the instructions, ask for a name where nobody is signed in, and wait for the start."""
    ranking = task.form == "ranking"
    st.title("Judge", anchor=False)
    st.subheader("Which answers are better?" if ranking else "Which of two answers is better?", anchor=False)
    with st.container(border=True):
        st.markdown(task.instructions)
    st.markdown(f"Keys: {RANKING_KEYS if ranking else PAIR_KEYS}, **S** skip, **U** undo, **H** instructions.")
    if not current_visitor().name:
        st.text_input(
            "Your name",
            key="judge-name-field",
            value=labeller(),
            max_chars=60,
            help="Keeps people's votes apart",
            width=320,
        )
    label = "Back to the item" if st.session_state.get("judge-begun") else "Start judging"
    st.button(label, key="judge-start", type="primary", shortcut="Enter", on_click=_start, args=(task.id,))


def judging(task_id: int) -> bool:
    """Say whether the labeller has left the instructions of this task for its items."""
    return st.session_state.get("judge-open") == task_id


def labeller() -> str:
    """Return the labeller's name: of whoever is signed in, or else the one they gave."""
    return current_visitor().name or st.session_state.get("judge-name") or "labeller"


def item_screen(store: VoteStore, task_id: int) -> None:
    """Show the item that awaits a verdict, or that nothing is left; the bar below stays in sight."""
    item = store.next_item(task_id, labeller())
    if message := st.session_state.pop("judge-message", ""):
        st.warning(plain(message), icon=":material/error:")
    if item is None:
        st.subheader("Everything is judged.", anchor=False)
        results = "The Results page shows what the votes say. " if current_visitor().may(READ) else ""
        st.markdown(f"{results}Undo takes back the last one.")
    else:
        begin_reading(item)
        _show_item(item)
    _bar(store, task_id, item)


def _show_item(item: Assignment) -> None:
    with st.container(border=True, gap="xsmall"):
        st.caption("Prompt")
        st.text(item.prompt)
    height = _panel_height(*item.texts)
    names = "ABCDEFGHI"[: len(item.texts)]
    across = 2 if len(names) in (2, 4) else 3
    for first in range(0, len(names), across):
        columns = st.columns(across, gap="small")
        for column, name, text in zip(columns, names[first:], item.texts[first : first + across], strict=False):
            with column.container(border=True, height=height, gap="xsmall", key=f"judge-panel-{name}"):
                st.markdown(f"**{name}**")
                st.text(text)


def _panel_height(*texts: str) -> int:
    """Return pixels that hold the longer text, the same for both sides; what does not fit scrolls."""
    lines = max(sum(1 + len(line) // LINE_LETTERS for line in text.split("\n")) for text in texts)
    low, high = PANEL_HEIGHTS
    return min(max(80 + LINE_HEIGHT * lines, low), high)


def _bar(store: VoteStore, task_id: int, item: Assignment | None) -> None:
    token = item.token if item else "done"
    with st.bottom:
        if item and item.form == "ranking":
            ranking_ballot(store, item)
        else:
            pair_ballot(store, item)
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            done = store.progress(task_id, labeller())
            st.caption(f"{done.done} of {done.total} judged", width="stretch")
            if item:
                _reason(item)
            st.button(
                "Skip", key=f"judge-skip-{token}", shortcut="S", disabled=item is None,
                on_click=cast, args=(store, token, "skip"), type="tertiary",
            )  # fmt: skip
            st.button(
                "Undo",
                key=f"judge-undo-{token}",
                shortcut="U",
                on_click=_undo,
                args=(store, task_id, item),
                type="tertiary",
            )
            st.button("Help", key="judge-help", shortcut="H", on_click=_reopen, type="tertiary")


def _reason(item: Assignment) -> None:
    """Why, and how much better: for those who want to say."""
    with st.popover("Say why", type="tertiary"):
        st.text_input(
            "Reason", key=f"judge-reason-{item.token}", max_chars=1000, help="Goes with the verdict you give next"
        )
        if item.form == "pairwise":
            st.segmented_control(
                "Better by how much", list(STRENGTHS.values()), key=f"judge-strength-{item.token}",
                format_func=dict(zip(STRENGTHS.values(), STRENGTHS, strict=True)).__getitem__,
            )  # fmt: skip


def _start(task_id: int) -> None:
    st.session_state["judge-name"] = st.session_state.get("judge-name-field", "").strip()
    st.session_state["judge-open"], st.session_state["judge-begun"] = task_id, True


def _reopen() -> None:
    st.session_state["judge-open"] = None
    st.session_state["judge-shown"] = {}


def _undo(store: VoteStore, task_id: int, item: Assignment | None) -> None:
    if item and take_back(item):
        return
    try:
        if store.undo(task_id, labeller()) is None:
            st.session_state["judge-message"] = "There is no vote to undo."
    except VoteError as error:
        st.session_state["judge-message"] = str(error)
