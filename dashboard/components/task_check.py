"""What a checked task would be: how much there is to judge, what drops out, what gives authors away; and the confirmation."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from dashboard.components.task_leaks import leak_list
from dashboard.components.task_list import go_to
from dashboard.services import leak_rows
from dashboard.services.settings import Settings
from dashboard.services.task_drafts import (
    Checked,
    as_yaml,
    bundle,
    left_out_rows,
    stored_already,
    workload,
    workload_words,
)
from dashboard.services.wording import count, listed, plain
from rlhf_core.feedback.tasks import TaskSpec


def show_check(
    settings: Settings, checked: Checked, spec: TaskSpec, confirm: Callable[[Settings, TaskSpec], None]
) -> None:
    """Show what would be stored; `confirm` stores it."""
    st.markdown("#### What this makes")
    work = workload(settings, spec)
    for column, label, number in zip(
        st.columns(4), ("Prompts", "Items", "Comparisons", "Votes of each labeller" if work.each else "Votes"),
        (work.prompts, work.items, work.comparisons, work.votes), strict=True,
    ):  # fmt: skip
        column.metric(label, f"{number:,}", border=True)
    st.markdown(f"{plain(listed(spec.contenders))} are compared. {workload_words(work)}")
    if golds := sum(item.gold is not None for item in spec.items):
        st.caption(f"On top come {count(golds, 'gold item')} for everybody.")
    _left_out(spec)
    rows = leak_rows.of_plan(spec)
    if rows:
        st.markdown("#### Answers that give their author away")
        st.markdown(
            "Whoever reads them may know whose they are. The task stays a draft until you open it all the same."
        )
        leak_list(rows)
    _confirmation(settings, checked, spec, bool(rows), confirm)


def _left_out(spec: TaskSpec) -> None:
    if not spec.left_out:
        st.caption("No prompt drops out.")
        return
    counts = pd.Series([one.reason for one in spec.left_out]).value_counts()
    words = {"category": "of other categories", "unanswered": "not answered by all", "alike": "answered alike"}
    told = listed([f"{number} {words.get(str(reason), str(reason))}" for reason, number in counts.items()])
    with st.expander(f"Left out: {told}"):
        st.dataframe(pd.DataFrame(left_out_rows(spec.left_out)), hide_index=True, key="task-left-out")


def _confirmation(
    settings: Settings, checked: Checked, spec: TaskSpec, leaks: bool, confirm: Callable[[Settings, TaskSpec], None]
) -> None:
    with st.container(horizontal=True, gap="small"):
        if same := stored_already(settings, spec):
            st.info(f"This task is stored already: number {same.id}, {same.state}.", icon=":material/info:")
            st.button("Look at it", key="task-form-same", on_click=go_to, args=(same.id,))
        else:
            label = "Store as a draft" if leaks else "Create and open"
            st.button(label, key="task-form-create", on_click=confirm, args=(settings, spec))
        st.download_button(
            "Take it as files", bundle(checked.draft), f"{spec.run_name}.zip", "application/zip", key="task-form-files",
            on_click="ignore", help="A task file for rlhf task create, with the files it names",
        )  # fmt: skip
    with st.expander(f"The same as a file: rlhf task create {spec.run_name}.yaml"):
        st.code(as_yaml(checked.draft), language="yaml")
