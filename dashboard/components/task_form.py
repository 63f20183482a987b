"""The form for a new task: its settings, a check that stores nothing, and the confirmation. Owns keys `task-form-…`."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.components.look import page_heading
from dashboard.components.task_actions import acting, show_refusal
from dashboard.components.task_check import show_check
from dashboard.components.task_fields import Fields
from dashboard.components.task_instructions import editor
from dashboard.components.task_list import back_to_list, go_to
from dashboard.services.settings import Settings
from dashboard.services.task_drafts import (
    CRITERIA,
    INSTRUCTIONS,
    Checked,
    Draft,
    categories_of,
    check,
    create,
    run_contenders,
)
from dashboard.services.voting import read_instructions
from rlhf_core.feedback.tasks import TaskSpec

FORMS = {"pairwise": "Two at a time", "ranking": "All of a prompt ranked"}
CHECKED = "task-form-checked"


def new_task(settings: Settings) -> None:
    """Ask for a task, check it, and store it once it is confirmed."""
    back_to_list()
    page_heading("New task", "What shall people compare, and how?")
    show_refusal()
    fields = Fields()
    draft = _draft(settings, fields)
    st.button("Check", key="task-form-check", on_click=_check, args=(draft,))
    checked: Checked | None = st.session_state.get(CHECKED)
    if checked is None:
        st.caption("Shows what would be judged and how long that takes. Nothing is stored yet.")
    elif checked.draft != draft:
        st.info("Something has changed since the check: check again.", icon=":material/refresh:")
    elif checked.task is None:
        fields.show_problems(checked.problems)
        st.error("This is not a task yet: see above. Nothing is stored.", icon=":material/error:")
    else:
        show_check(settings, checked, checked.task, _confirm)


def _check(draft: Draft) -> None:
    st.session_state[CHECKED] = check(draft)


def _confirm(settings: Settings, spec: TaskSpec) -> None:
    acting(_create, settings, spec)


def _create(settings: Settings, spec: TaskSpec) -> None:
    go_to(create(settings, spec))
    for key in [str(key) for key in st.session_state if str(key).startswith("task-form-")]:
        del st.session_state[key]


def _draft(settings: Settings, fields: Fields) -> Draft:
    """The form's settings in the order of a task file, and the files it brings along."""
    asked: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    st.markdown("#### What is compared")
    asked["name"] = fields.text("name")
    asked["contenders"] = _contenders(settings, fields, files)
    left, right = st.columns(2, gap="medium")
    with left:
        asked["form"] = fields.one_of("form", FORMS)
    with right:
        asked["criteria"] = fields.some_of("criteria", CRITERIA, "overall, helpful … or your own")
    st.markdown("#### Which prompts")
    left, middle, right = st.columns([2, 1, 1], gap="medium")
    with left:
        known = categories_of(tuple(name for name in asked["contenders"] if name not in files))
        asked["categories"] = fields.some_of("categories", known, "all") or None
    with middle:
        asked["prompts"] = fields.number("prompts", "all")
    with right:
        asked["seed"] = fields.number("seed")
    st.markdown("#### Who judges how much")
    asked |= _effort(fields, files)
    st.markdown("#### Instructions")
    text = editor("task-form-instructions", read_instructions(settings))
    fields.places["instructions"] = st.empty()
    return Draft(asked | {"instructions": INSTRUCTIONS}, files | {INSTRUCTIONS: text.encode("utf-8")})


def _contenders(settings: Settings, fields: Fields, files: dict[str, bytes]) -> list[str]:
    """The completions files that are compared: of runs, brought along, and named."""
    known = run_contenders(settings)
    left, middle, right = st.columns([2, 1, 1], gap="medium")
    with left:
        chosen = fields.some_of("contenders", list(known), "of the runs that are here", own=False)
    with middle:
        brought = fields.files("contenders", "Completions files of your own", several=True)
    with right:
        named = st.text_area(
            "Files on this machine", key="task-form-paths", help="One path a line, as the server sees them", height=80,
            persist_state="session",
        )  # fmt: skip
    fields.places["contenders"] = st.empty()
    uploads = {f"uploads/{number}-{_file_name(name)}": content for number, (name, content) in enumerate(brought, 1)}
    files |= uploads
    paths = [line.strip() for line in named.splitlines() if line.strip()]
    return [*(known[label] for label in chosen), *uploads, *paths]


def _effort(fields: Fields, files: dict[str, bytes]) -> dict[str, Any]:
    asked: dict[str, Any] = {"gold": None}
    one, two, three, four = st.columns(4, gap="medium")
    with one:
        asked["overlap"] = fields.number("overlap", "all labellers")
    with two:
        asked["repeat_every"] = fields.number("repeat_every", "no repeats")
    with three:
        for name, content in fields.files("gold", "Gold items", several=False):
            asked["gold"] = f"uploads/gold-{_file_name(name)}"
            files[asked["gold"]] = content
    with four:
        asked["gold_every"] = fields.number("gold_every")
    return asked


def _file_name(name: str) -> str:
    """An uploaded file's own name, without any folders."""
    return name.replace("\\", "/").rpartition("/")[2]
