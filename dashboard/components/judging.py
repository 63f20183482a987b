"""Blind judging by keyboard: the instructions, the item, the bar below. Owns the keys that begin with `judge`.

Who judges which task stands in the address too: when the server comes back, or the page is loaded again, it shows the
item that was there. Everything that models or people wrote is shown as text (`visible`).
"""

from __future__ import annotations

from typing import Literal

import streamlit as st

from dashboard.components.announcer import announce
from dashboard.components.ballot import (
    PAIR_KEYS,
    RANKING_KEYS,
    begin_reading,
    cast,
    pair_ballot,
    ranking_ballot,
    spoken_draft,
    take_back,
)
from dashboard.components.gate import current_visitor
from dashboard.services.access import READ
from dashboard.services.voting import JudgingTask
from dashboard.services.wording import plain, without_images
from rlhf_core.errors import VoteError
from rlhf_core.feedback.records import Assignment, Progress
from rlhf_core.feedback.store import VoteStore
from rlhf_core.visible import check_name, one_line, visible

PANEL_HEIGHTS = (150, 360)
LINE_HEIGHT, LINE_LETTERS = 26, 50
AT_FIRST = 20_000
"""So many characters of a text are shown at first."""
SPOKEN = 120
"""So many letters of a prompt are announced; the whole prompt is the first thing on the page."""
STRENGTHS = {"slightly": 1, "clearly": 2, "much": 3}


def instructions_screen(task: JudgingTask) -> None:
    """Show the instructions, ask for a name where nobody is signed in, and wait for the start."""
    ranking = task.form == "ranking"
    st.title("Judge", anchor=False)
    st.subheader("Which answers are better?" if ranking else "Which of two answers is better?", anchor=False)
    if message := st.session_state.pop("judge-message", ""):
        st.warning(plain(message), icon=":material/error:")
    with st.container(border=True):
        st.markdown(without_images(task.instructions))
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
    st.button(label, key="judge-start", shortcut="Enter", on_click=_start, args=(task.id,))


def judging(task_id: int) -> bool:
    """Say whether the labeller has left the instructions of this task for its items, here or before a reload."""
    if "judge-open" not in st.session_state and st.query_params.get("judging") == str(task_id):
        _begin(task_id, st.query_params.get("labeller", ""))
    return st.session_state.get("judge-open") == task_id


def labeller() -> str:
    """Return the labeller's name: of whoever is signed in, or else the one they gave."""
    return current_visitor().name or st.session_state.get("judge-name") or "labeller"


def item_screen(store: VoteStore, task_id: int) -> None:
    """Show the item that awaits a verdict, or that nothing is left; the bar below stays in sight."""
    item = store.next_item(task_id, labeller())
    message = st.session_state.pop("judge-message", "")
    if message:
        st.warning(plain(message), icon=":material/error:")
    if item is None:
        st.subheader("Everything is judged.", anchor=False)
        results = "The Results page shows what the votes say. " if current_visitor().may(READ) else ""
        st.markdown(f"{results}Undo takes back the last one.")
    else:
        begin_reading(item)
        _show_item(item)
    _bar(store, task_id, item)
    _tell(item, store.progress(task_id, labeller()), message)


def _tell(item: Assignment | None, done: Progress, message: str) -> None:
    what = f"Next prompt: {one_line(item.prompt[:SPOKEN])}" if item else "Everything is judged."
    said = spoken_draft(item) if item else ""
    announce(" ".join(filter(None, (message, said or f"{done.done} of {done.total} judged. {what}"))))


def _show_item(item: Assignment) -> None:
    prompt = visible(item.prompt)
    with st.container(border=True, height=_prompt_height(prompt), gap="xsmall"):
        st.subheader("Prompt", anchor=False)
        _show_text(prompt, f"prompt-{item.token}")
    texts = [visible(text) for text in item.texts]
    height = _panel_height(*texts)
    names = "ABCDEFGHI"[: len(texts)]
    across = 2 if len(names) in (2, 4) else 3
    for first in range(0, len(names), across):
        columns = st.columns(across, gap="small")
        for column, name, text in zip(columns, names[first:], texts[first : first + across], strict=False):
            with column.container(border=True, height=height, gap="xsmall", key=f"judge-panel-{name}"):
                st.subheader(name, anchor=False)
                _show_text(text, f"{name}-{item.token}")


def _show_text(text: str, name: str) -> None:
    """Show a text; of a huge one its beginning, with a button for the rest: a browser is busy with a megabyte for seconds."""
    whole = len(text) <= AT_FIRST or st.session_state.get(f"judge-whole-{name}")
    st.text(text if whole else text[:AT_FIRST])
    if not whole:
        label = f"Show all {len(text):,} characters"
        st.button(label, key=f"judge-all-{name}", on_click=_show_whole, args=(name,), width="stretch")


def _show_whole(name: str) -> None:
    st.session_state[f"judge-whole-{name}"] = True


def _panel_height(*texts: str) -> int:
    """Return pixels that hold the longer text, the same for both sides; what does not fit scrolls."""
    lines = max(sum(1 + len(line) // LINE_LETTERS for line in text.split("\n")) for text in texts)
    low, high = PANEL_HEIGHTS
    return min(max(80 + LINE_HEIGHT * lines, low), high)


def _prompt_height(prompt: str) -> int | Literal["content"]:
    """Return as much as a prompt needs; a long one scrolls, so that the answers stay in sight."""
    high = PANEL_HEIGHTS[1]
    return high if _panel_height(prompt) == high else "content"


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
    signed_in = current_visitor().name
    _begin(task_id, signed_in or st.session_state["judge-name-field"].strip())
    if judging(task_id):
        where = {"judging": str(task_id)} | ({} if signed_in else {"labeller": labeller()})
        st.query_params.update(where)


def _begin(task_id: int, name: str) -> None:
    try:
        st.session_state["judge-name"] = check_name(name)
    except ValueError as error:
        st.session_state["judge-message"] = f"Your name {error}"
        st.session_state["judge-open"] = None
        return
    st.session_state["judge-open"], st.session_state["judge-begun"] = task_id, True


def _reopen() -> None:
    st.session_state["judge-open"] = None
    st.session_state["judge-shown"] = {}
    st.query_params.pop("judging", None)


def _undo(store: VoteStore, task_id: int, item: Assignment | None) -> None:
    if item and take_back(item):
        return
    try:
        if store.undo(task_id, labeller()) is None:
            st.session_state["judge-message"] = "There is no vote to undo."
    except VoteError as error:
        st.session_state["judge-message"] = str(error)
