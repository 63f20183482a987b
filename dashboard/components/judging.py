"""Blind judging by keyboard. Owns the keys that begin with `judge`; nothing it sends names a side.

Every button holds the token of the pair it stands under, in its key and in its callback: a second press, queued while
the next pair is on its way, still speaks of the pair that was seen and cannot vote on one that was not.
"""

from __future__ import annotations

import time

import streamlit as st

from dashboard.services.wording import plain
from rlhf_core.errors import VoteError
from rlhf_core.feedback.records import Assignment
from rlhf_core.feedback.store import VoteStore

PANEL_HEIGHTS = (150, 360)
LINE_HEIGHT, LINE_LETTERS = 26, 50
VERDICTS = (
    ("a", "A", "1"),
    ("tie", "Tie", "0"),
    ("both_bad", "Both bad", "9"),
    ("b", "B", "2"),
)
KEYS = (
    "Keys: **1** A is better, **2** B is better, **0** tie, **9** both bad, **S** skip, **U** undo, **H** instructions."
)


def instructions_screen(instructions: str) -> None:
    """Show the instructions, ask for a name, and wait for the start."""
    st.title("Judge", anchor=False)
    st.subheader("Which of two answers is better?", anchor=False)
    with st.container(border=True):
        st.markdown(instructions)
    st.markdown(KEYS)
    st.text_input(
        "Your name",
        key="judge-name-field",
        value=labeller(),
        max_chars=60,
        help="Keeps people's votes apart",
        width=320,
    )
    label = "Back to the pair" if st.session_state.get("judge-begun") else "Start judging"
    st.button(label, key="judge-start", type="primary", shortcut="Enter", on_click=_start)


def judging() -> bool:
    """Say whether the labeller has left the instructions for the pairs."""
    return bool(st.session_state.get("judge-open"))


def labeller() -> str:
    """Return the labeller's name."""
    return st.session_state.get("judge-name") or "labeller"


def pair_screen(store: VoteStore, task_id: int) -> None:
    """Show the pair that awaits a verdict, or that all are judged; the bar below stays in sight."""
    assignment = store.next_item(task_id, labeller())
    if message := st.session_state.pop("judge-message", ""):
        st.warning(plain(message), icon=":material/error:")
    if assignment is None:
        st.subheader("All pairs are judged.", anchor=False)
        st.markdown("The Results page shows what the votes say. Undo takes back the last one.")
    else:
        _show_pair(assignment)
    _verdict_bar(store, task_id, assignment)


def _show_pair(assignment: Assignment) -> None:
    st.session_state.setdefault("judge-shown", {}).setdefault(assignment.token, time.monotonic())
    height = _panel_height(*assignment.texts)
    with st.container(border=True, gap="xsmall"):
        st.caption("Prompt")
        st.text(assignment.prompt)
    for column, name, text in zip(st.columns(2, gap="small"), ("A", "B"), assignment.texts, strict=True):
        with column.container(border=True, height=height, gap="xsmall", key=f"judge-panel-{name}"):
            st.markdown(f"**{name}**")
            st.text(text)


def _panel_height(*texts: str) -> int:
    """Return pixels that hold the longer text, the same for both sides; what does not fit scrolls."""
    lines = max(sum(1 + len(line) // LINE_LETTERS for line in text.split("\n")) for text in texts)
    low, high = PANEL_HEIGHTS
    return min(max(80 + LINE_HEIGHT * lines, low), high)


def _verdict_bar(store: VoteStore, task_id: int, assignment: Assignment | None) -> None:
    token = assignment.token if assignment else "done"
    with st.bottom:
        with st.container(horizontal=True, gap="xsmall"):
            for verdict, label, key in VERDICTS:
                st.button(
                    label,
                    key=f"judge-{verdict}-{token}",
                    shortcut=key,
                    width="stretch",
                    disabled=assignment is None,
                    on_click=_vote,
                    args=(store, token, verdict),
                )
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            done = store.progress(task_id, labeller())
            st.caption(f"{done.done} of {done.total} judged", width="stretch")
            st.button(
                "Skip", key=f"judge-skip-{token}", shortcut="S", disabled=assignment is None,
                on_click=_vote, args=(store, token, "skip"), type="tertiary",
            )  # fmt: skip
            st.button(
                "Undo", key=f"judge-undo-{token}", shortcut="U", on_click=_undo, args=(store, task_id), type="tertiary"
            )
            st.button("Help", key="judge-help", shortcut="H", on_click=_reopen, type="tertiary")


def _start() -> None:
    st.session_state["judge-name"] = st.session_state["judge-name-field"].strip()
    st.session_state["judge-open"] = st.session_state["judge-begun"] = True


def _reopen() -> None:
    st.session_state["judge-open"] = False
    st.session_state["judge-shown"] = {}


def _vote(store: VoteStore, token: str, verdict: str) -> None:
    shown = st.session_state.get("judge-shown", {}).pop(token, None)
    seconds = time.monotonic() - shown if shown else 0.0
    try:
        store.vote(token, verdict, reading_seconds=seconds)
    except VoteError as error:
        st.session_state["judge-message"] = str(error)


def _undo(store: VoteStore, task_id: int) -> None:
    if store.undo(task_id, labeller()) is None:
        st.session_state["judge-message"] = "There is no vote to undo."
