"""Which task is judged: the chosen run's own pairs, or one that was made. Owns the key `judge-task`."""

from __future__ import annotations

import streamlit as st

from dashboard.components.runs import pick_run
from dashboard.components.states import empty_state
from dashboard.services.settings import Settings
from dashboard.services.voting import JudgingTask, can_judge, made_tasks, task_of_run

OF_THE_RUN = "Pairs of the chosen run"


def pick_task(settings: Settings) -> JudgingTask | None:
    """Return the task to judge; `?task=3` in the address chooses it. Show what to do when there is nothing to judge."""
    asked = st.query_params.get("task")
    made = {task.label: task for task in made_tasks(settings, asked)}
    if asked and asked not in {str(task.id) for task in made.values()}:
        return _nothing("This task is not open now", "Ask whoever sent you here; all votes given so far are kept.")
    if made:
        options = [OF_THE_RUN, *made]
        first = next((n for n, task in enumerate(made.values(), 1) if str(task.id) == asked), 0)
        chosen = st.sidebar.selectbox("Task", options, index=first, key="judge-task", on_change=_address, args=(made,))
        if chosen in made:
            return made[chosen]
    if (entry := pick_run(settings)) is None:
        return None
    if not can_judge(entry):
        text = "Pairs of answers appear here once the run has written its completions."
        return _nothing("Nothing to judge yet", text, "rlhf generate CONFIG.yaml")
    return task_of_run(settings, entry)


def _nothing(title: str, text: str, command: str | None = None) -> None:
    st.title("Judge", anchor=False)
    empty_state(title, text, command)


def _address(made: dict[str, JudgingTask]) -> None:
    """Keep the chosen task in the address, so that it can be sent to others."""
    chosen = st.session_state["judge-task"]
    if chosen in made:
        st.query_params["task"] = str(made[chosen].id)
    else:
        st.query_params.pop("task", None)
