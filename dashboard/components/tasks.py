"""Which task is judged, or shown: the chosen run's own pairs, or one that was made.

Owns the keys `judge-task` and `results-task`.
"""

from __future__ import annotations

import streamlit as st

from dashboard.components.imported import empty_place
from dashboard.components.runs import pick_run
from dashboard.components.states import empty_state
from dashboard.services.access import READ
from dashboard.services.catalogue import RunEntry
from dashboard.services.settings import Settings
from dashboard.services.voting import JudgingTask, can_judge, made_tasks, result_tasks, task_of_run
from rlhf_core.feedback.records import TaskInfo

OF_THE_RUN = "Pairs of the chosen run"


def pick_task(settings: Settings) -> JudgingTask | None:
    """Return the task to judge; `?task=3` in the address chooses it. Show what to do when there is nothing to judge.

    A labeller chooses among the tasks that were made; runs, and their names, are not for them.
    """
    asked = st.query_params.get("task")
    made = {task.label: task for task in made_tasks(settings, asked)}
    if asked and asked not in {str(task.id) for task in made.values()}:
        return _nothing("This task is not open now", "Ask whoever sent you here; all votes given so far are kept.")
    reads = settings.visitor.may(READ)
    if (chosen := _choose("judge-task", {label: task.id for label, task in made.items()}, reads)) is not None:
        return made[chosen]
    if not reads:
        return _nothing("Nothing to judge yet", "Tasks appear here as soon as the owner of this studio opens one.")
    if (entry := pick_run(settings)) is None:
        return None
    if not can_judge(entry):
        text = "Pairs of answers appear here once the run has written its completions."
        st.title("Judge", anchor=False)
        empty_place(entry, "judge", "Nothing to judge yet", text, "rlhf generate CONFIG.yaml")
        return None
    return task_of_run(settings, entry)


def _nothing(title: str, text: str) -> None:
    st.title("Judge", anchor=False)
    empty_state(title, text)


def pick_results(settings: Settings) -> RunEntry | TaskInfo | None:
    """Return what to show results of, a run or a made task, which `?task=3` in the address chooses; None for nothing."""
    made = {_label(task): task for task in result_tasks(settings)}
    if (chosen := _choose("results-task", {label: task.id for label, task in made.items()})) is not None:
        return made[chosen]
    return pick_run(settings)


def _choose(key: str, made: dict[str, int], runs_too: bool = True) -> str | None:
    """Return the label of the made task chosen in the sidebar, or None for the run's own pairs."""
    if not made:
        return None
    asked = st.query_params.get("task")
    options = [*([OF_THE_RUN] if runs_too else []), *made]
    first = next((options.index(label) for label, task in made.items() if str(task) == asked), 0)
    chosen = st.sidebar.selectbox("Task", options, index=first, key=key, on_change=_address, args=(key, made))
    return chosen if chosen in made else None


def _label(task: TaskInfo) -> str:
    state = "" if task.state == "open" else f", {task.state}"
    return f"{task.run_name} ({task.id}{state})"


def _address(key: str, made: dict[str, int]) -> None:
    """Keep the chosen task in the address, so that it can be sent to others."""
    chosen = st.session_state[key]
    if chosen in made:
        st.query_params["task"] = str(made[chosen])
    else:
        st.query_params.pop("task", None)
