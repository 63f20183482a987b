"""All tasks, one below the other, and moving between the list, one task and the form. The address says where: `?task=3`."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.components.look import page_heading
from dashboard.components.states import empty_state
from dashboard.services.settings import Settings
from dashboard.services.tasks import CLOSED, DRAFT, OPEN, PAUSED, StoredTask, makeup, progress_words, stored_tasks
from dashboard.services.wording import count, plain

NEW = "new"
BADGES: dict[str, Any] = {
    OPEN: ("open", ":material/play_circle:", "green"),
    PAUSED: ("paused", ":material/pause_circle:", "orange"),
    CLOSED: ("closed", ":material/check_circle:", "gray"),
    DRAFT: ("draft", ":material/edit_note:", "violet"),
}


def asked_task() -> str | None:
    """Return the task that the address asks for: a number, `new`, or nothing."""
    return st.query_params.get("task")


def go_to(task: str | int | None) -> None:
    """Put a task into the address, or nothing for the list."""
    if task is None:
        st.query_params.pop("task", None)
    else:
        st.query_params["task"] = str(task)


def back_to_list() -> None:
    """Show the way back."""
    st.button(
        "All tasks", key="tasks-back", icon=":material/arrow_back:", type="tertiary", on_click=go_to, args=(None,)
    )


def task_list(settings: Settings) -> None:
    """Show every task with its state and progress."""
    tasks = stored_tasks(settings)
    page_heading("Tasks", _sentence(tasks))
    st.button("New task", key="tasks-new", icon=":material/add:", on_click=go_to, args=(NEW,))
    if not tasks:
        text = "A task says which answers people compare, by which criteria and how often."
        empty_state("No tasks yet", text, "rlhf task create configs/judging.yaml")
    for task in tasks:
        _row(task)


def own_words(task: StoredTask) -> str:
    """Say where a run's own task comes from; nothing for a made one."""
    return f"Own pairs of {task.run} · " if task.run else ""


def _row(task: StoredTask) -> None:
    info = task.info
    with st.container(border=True, key=f"task-row-{info.id}"):
        what, progress, act = st.columns([5, 3, 1.4], vertical_alignment="center", gap="medium")
        with what:
            with st.container(horizontal=True, gap="small", vertical_alignment="center"):
                st.markdown(f"**{plain(info.run_name)}** :gray[{info.id}]", width="content")
                label, icon, colour = BADGES[info.state]
                st.badge(label, icon=icon, color=colour)
            st.caption(plain(own_words(task) + makeup(task)))
        progress.progress(task.share, plain(progress_words(task)))
        act.button("Look closer", key=f"task-open-{info.id}", on_click=go_to, args=(info.id,), width="stretch")


def _sentence(tasks: list[StoredTask]) -> str:
    if not tasks:
        return "Nothing is being judged yet."
    running = [task for task in tasks if task.info.state == OPEN]
    votes = sum(task.info.votes for task in tasks)
    return f"{count(len(running), 'task')} of {len(tasks)} open; {count(votes, 'vote')} so far."
