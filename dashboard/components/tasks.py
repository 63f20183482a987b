"""Which task is judged: the chosen run's own pairs, or one that `rlhf task create` made. Owns the key `judge-task`."""

from __future__ import annotations

import streamlit as st

from dashboard.components.runs import pick_run
from dashboard.components.states import empty_state
from dashboard.services.access import READ
from dashboard.services.settings import Settings
from dashboard.services.voting import JudgingTask, can_judge, made_tasks, task_of_run

OF_THE_RUN = "Pairs of the chosen run"


def pick_task(settings: Settings) -> JudgingTask | None:
    """Return the task to judge; `?task=3` in the address chooses it. Show what to do when there is nothing to judge.

    A labeller chooses among the tasks that were made; runs, and their names, are not for them.
    """
    made = {task.label: task for task in made_tasks(settings)}
    reads = settings.visitor.may(READ)
    if made:
        options = [*([OF_THE_RUN] if reads else []), *made]
        asked = st.query_params.get("task")
        first = next((options.index(label) for label, task in made.items() if str(task.id) == asked), 0)
        chosen = st.sidebar.selectbox("Task", options, index=first, key="judge-task", on_change=_address, args=(made,))
        if chosen in made:
            return made[chosen]
    if not reads:
        st.title("Judge", anchor=False)
        empty_state("Nothing to judge yet", "Tasks appear here as soon as the owner of this studio opens one.")
        return None
    if (entry := pick_run(settings)) is None:
        return None
    if not can_judge(entry):
        st.title("Judge", anchor=False)
        text = "Pairs of answers appear here once the run has written its completions."
        empty_state("Nothing to judge yet", text, "rlhf generate CONFIG.yaml")
        return None
    return task_of_run(settings, entry)


def _address(made: dict[str, JudgingTask]) -> None:
    """Keep the chosen task in the address, so that it can be sent to others."""
    chosen = st.session_state["judge-task"]
    if chosen in made:
        st.query_params["task"] = str(made[chosen].id)
    else:
        st.query_params.pop("task", None)
