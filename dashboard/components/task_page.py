"""One task for its owner: how far it is, opening and closing it, its instructions, what gives authors away, the export."""

from __future__ import annotations

import streamlit as st

from dashboard.components.links import link_to
from dashboard.components.look import page_heading
from dashboard.components.states import guarded
from dashboard.components.task_actions import acting, show_refusal
from dashboard.components.task_instructions import instruction_section
from dashboard.components.task_leaks import leak_list
from dashboard.components.task_list import back_to_list, own_words
from dashboard.services import leak_rows
from dashboard.services.settings import Settings
from dashboard.services.tasks import (
    CLOSED,
    DRAFT,
    OPEN,
    PAUSED,
    StoredTask,
    depth_rows,
    export,
    judge_address,
    labeller_rows,
    left_out_words,
    makeup,
    progress_words,
    stored_task,
)
from dashboard.services.voting import open_store
from dashboard.services.wording import count, plain
from rlhf_core.judging import FORMATS

REFRESH_SECONDS = 15
STATES = {DRAFT: "a draft", OPEN: "open", PAUSED: "paused", CLOSED: "closed"}
METHODS = {
    "majority": "majority of the votes",
    "dawid_skene": "Dawid–Skene: labellers' errors are estimated",
    "mace": "MACE: labellers may guess",
    "noisy_bradley_terry": "noisy Bradley–Terry: labellers may lean to a side",
}


def task_page(settings: Settings, number: str) -> None:
    """Show the task of a number."""
    back_to_list()
    task = stored_task(settings, number)
    page_heading(
        task.info.run_name, f"Task {task.info.id} is {STATES[task.info.state]}.", own_words(task) + makeup(task)
    )
    show_refusal()
    _state_buttons(settings, task)
    with guarded("The progress"):
        _progress(settings, number)
    with guarded("The leaks"):
        _leaks(settings, task)
    with guarded("The instructions"):
        instruction_section(settings, task)
    with guarded("The export"):
        _export_section(settings, task)


def _state_buttons(settings: Settings, task: StoredTask) -> None:
    info, store = task.info, open_store(settings.votes)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if info.state == DRAFT and info.leaks:
            _confirmed(
                "Open",
                f"{_places(task)} their author. Open it all the same?",
                "Let people judge it as it is",
                settings,
                task,
                OPEN,
            )
        elif info.state != OPEN:
            arguments = (store.set_state, info.id, OPEN)
            st.button("Open", key="tasks-set-open", on_click=acting, args=arguments)
        if info.state == OPEN:
            st.button("Pause", key="tasks-set-paused", on_click=acting, args=(store.set_state, info.id, PAUSED))
        if info.state != CLOSED:
            text = "No more votes are taken, not even on what is on a screen now. All votes are kept."
            _confirmed("Close", text, "Close the task", settings, task, CLOSED)
        link_to("Results", "What the votes say", task=str(info.id))
        if info.state == OPEN:
            link_to("Judge", "Judge it yourself", task=str(info.id))
    if info.state == OPEN and settings.team_url and task.run:
        st.caption("Labellers of a team are not shown a run's own pairs: make a task of them.")
    elif info.state == OPEN:
        st.caption("Send this to labellers:")
        st.code(judge_address(st.context.url, info.id), language=None)


def _confirmed(label: str, question: str, yes: str, settings: Settings, task: StoredTask, state: str) -> None:
    """A button that asks before it sets a state."""
    with st.popover(label):
        st.markdown(question)
        arguments = (open_store(settings.votes).set_state, task.info.id, state)
        st.button(yes, key=f"tasks-set-{state}", on_click=acting, args=arguments)


def _progress(settings: Settings, number: str) -> None:
    st.markdown("#### Progress")

    @st.fragment(run_every=REFRESH_SECONDS)
    def refreshed() -> None:
        with guarded("The progress"):
            task = stored_task(settings, number)
            st.progress(task.share, plain(progress_words(task)))
            progress = open_store(settings.votes).overview(task.info.id)
            left, right = st.columns([3, 2], gap="medium")
            with left:
                if progress.labellers:
                    st.dataframe(labeller_rows(progress), hide_index=True, key="task-labellers", height="content")
                else:
                    st.caption("Labellers appear here with their first vote.")
            with right:
                most = task.info.items
                bar = st.column_config.ProgressColumn(format="%d", min_value=0, max_value=most)
                config = {"Items with so many": bar}
                st.dataframe(
                    depth_rows(progress), hide_index=True, column_config=config, key="task-depth", height="content"
                )

    refreshed()


def _leaks(settings: Settings, task: StoredTask) -> None:
    if not task.info.leaks:
        return
    st.markdown("#### Answers that give their author away")
    text = f"{_places(task)} their author, so that whoever reads them may know whose they are."
    if task.info.state == DRAFT:
        text += " That is why this task is a draft. Open it if you accept that, or make it anew without them."
    st.markdown(text)
    leak_list(leak_rows.of_stored(open_store(settings.votes), task.info))


def _export_section(settings: Settings, task: StoredTask) -> None:
    st.markdown("#### Take the verdicts away")
    if not st.toggle("Prepare a file for the next reward model", key="task-export-open"):
        return
    with st.container(horizontal=True, gap="medium"):
        form = st.segmented_control("Rows", FORMATS, default=FORMATS[0], required=True, key="task-export-form")
        criterion = st.selectbox("Criterion", task.info.criteria, key="task-export-criterion", width=220)
        method = st.selectbox(
            "Who is right", list(METHODS), key="task-export-method", format_func=METHODS.__getitem__, width=380
        )
    made = export(settings, task.info.id, form, method, criterion)
    st.markdown(f"{count(made.done.rows, form.removesuffix('s'))}: name the file as `data.rankings`.")
    st.caption(left_out_words(made.done))
    name = f"{task.info.run_name}-{task.info.id}-{form}.jsonl"
    st.download_button(
        f"Download {form}", made.content, name, "application/jsonl", key="task-export", on_click="ignore",
        icon=":material/download:",
    )  # fmt: skip


def _places(task: StoredTask) -> str:
    leaks = len(task.info.leaks)
    return f"{count(leaks, 'place')} in the answers {'names' if leaks == 1 else 'name'}"
