"""The instructions of a task: their versions, what changed between them, and a new version. Owns keys `task-guide…`."""

from __future__ import annotations

import streamlit as st

from dashboard.components.task_actions import acting
from dashboard.services.settings import Settings
from dashboard.services.tasks import StoredTask, changes, version_label
from dashboard.services.voting import open_store
from dashboard.services.wording import plain

EDITOR_HEIGHT = 420


def instruction_section(settings: Settings, task: StoredTask) -> None:
    """Show the newest instructions or an older version with what changed, and the editor."""
    versions = open_store(settings.votes).versions(task.info.id)
    st.markdown("#### Instructions")
    labels = [version_label(number, version) for number, version in enumerate(versions, 1)]
    chosen = st.selectbox(
        "Version", range(len(versions) - 1, -1, -1), key=f"task-guide-version-{task.info.id}-{len(versions)}",
        format_func=lambda n: labels[n], width=380, help="Every vote keeps the version it was given under",
    )  # fmt: skip
    with st.expander("Read this version"):
        st.markdown(versions[chosen].text)
    if chosen:
        with st.expander(f"What changed from version {chosen}"):
            st.code(changes(versions[chosen - 1].text, versions[chosen].text), language="diff")
    if task.run:
        st.caption(plain(f"A run's own pairs are judged by the file {settings.instructions}: edit that file."))
        return
    with st.expander("Write a new version"):
        text = editor(f"task-guide-{task.info.id}-{len(versions)}", task.info.instructions)
        unchanged = text == task.info.instructions
        arguments = (open_store(settings.votes).revise, task.info.id, text)
        st.button(
            "Use this from the next item on",
            key="task-guide-store",
            disabled=unchanged,
            on_click=acting,
            args=arguments,
        )


def editor(key: str, text: str) -> str:
    """Show an editor for Markdown beside what labellers will read; return the text."""
    write, read = st.columns(2, gap="medium")
    with write:
        written = st.text_area("Instructions (Markdown)", text, key=key, height=EDITOR_HEIGHT, persist_state="session")
    with read:
        st.caption("As labellers read it")
        with st.container(border=True, height=EDITOR_HEIGHT):
            st.markdown(written)
    return written
