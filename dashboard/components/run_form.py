"""The form for a new run: a configuration to start from, its settings, what differs, what it will take, and the start.

Owns the keys `start`, `section`, `setting` and `launch-…`.
"""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.components.config_fields import ConfigFields
from dashboard.components.run_actions import begin
from dashboard.components.states import guarded
from dashboard.services.config_form import FormField, form_fields, section_help
from dashboard.services.field_words import SECTIONS, heading_of, matches
from dashboard.services.launching import contention_words, run_rows
from dashboard.services.run_drafts import (
    Draft,
    Start,
    difference_rows,
    estimate_rows,
    estimate_run,
    make_draft,
    open_start,
    shortage,
    starts,
)
from dashboard.services.settings import Settings
from dashboard.services.wording import count, plain
from rlhf_core.config import PipelineConfig
from rlhf_core.report.estimate_words import COST, interval_words, summary

START, SECTION, FIND = "start", "section", "setting"
FIRST = (
    "name", "seed", "policy.model", "reward.model", "policy.dtype", "sft.epochs", "ppo.iterations", "ppo.optim.lr",
    "ppo.kl_coef",
)  # fmt: skip
PROBLEMS = "launch-problems"


def new_run(settings: Settings) -> None:
    """Ask for a run, show what it would be, and start it."""
    paths = starts(settings)
    chosen = st.selectbox(
        "Start from", list(paths), key=START, bind="query-params",
        help="A configuration of the project, or that of an earlier run. Everything below changes it for the new run alone.",
    )  # fmt: skip
    with guarded("This configuration"):
        start = open_start(settings, paths[chosen])
        known = st.session_state.get(PROBLEMS, {})
        fields = ConfigFields(chosen, start.first, known)
        _settings(fields)
        draft = make_draft(settings, start, fields.values)
        if dict(draft.resolved.problems) != known:  # said at their fields, which are drawn by now
            st.session_state[PROBLEMS] = dict(draft.resolved.problems)
            st.rerun()
        _differences(start, draft, fields)
        if draft.resolved.config is None:
            _refusal(draft)
        else:
            _before_start(settings, draft, draft.resolved.config, fields)


def _settings(fields: ConfigFields) -> None:
    by_place = {field.place: field for field in form_fields()}
    fields.show([by_place[place] for place in FIRST], long=True)
    rest = [field for field in form_fields() if field.place not in FIRST]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        section = st.segmented_control(
            "All settings", list(SECTIONS), format_func=SECTIONS.__getitem__, key=SECTION, bind="query-params"
        )
        wanted = st.text_input(
            "Find a setting", key=FIND, bind="query-params", placeholder="kl, checkpoint, prompts", width=240,
            help="Part of a name or of what it means, in all sections",
        )  # fmt: skip
    if wanted.strip():
        found = [field for field in rest if matches(field, wanted)]
        above = [field for field in by_place.values() if field.place in FIRST and matches(field, wanted)]
        more = f", {len(above)} of them above" if above else ""
        st.caption(f"{count(len(found) + len(above), 'setting')} found{more}.")
        fields.show(found, long=True)
    elif section is not None:
        _section(fields, section, [field for field in rest if _stage_of(field) == section])


def _section(fields: ConfigFields, section: str, inside: list[FormField]) -> None:
    """One stage's settings; those of its own sections under headings."""
    with st.container(border=True):
        if about := section_help().get(section):
            st.caption(plain(about))
        own = [field for field in inside if field.place == section or field.parent == section]
        fields.show(own)
        for below in dict.fromkeys(field.parent for field in inside if field not in own):
            if below in _shown_sections(fields, inside):
                st.markdown(f"**{heading_of(below)}** :small[:gray[{plain(section_help()[below])}]]")
                fields.show([field for field in inside if field.parent == below])


def _shown_sections(fields: ConfigFields, inside: list[FormField]) -> set[str]:
    values = fields.values
    return {f.parent for f in inside if values.get(f.parent) is not False and values.get(_stage_of(f)) is not False}


def _stage_of(field: FormField) -> str:
    """The stage a setting belongs to; its own switch belongs to it too."""
    stage = field.place.split(".")[0]
    return stage if stage in SECTIONS else ""


def _differences(start: Start, draft: Draft, fields: ConfigFields) -> None:
    rows = difference_rows(start, draft)
    with st.container(horizontal=True, vertical_alignment="center"):
        said = count(len(rows), "difference") if rows else "Nothing differs"
        st.markdown(f"#### {said} from {plain(start.path.name)}", width="content")
        if rows:
            st.button("Undo all", key="launch-undo", type="tertiary", icon=":material/undo:", on_click=fields.forget)
    if rows:
        st.dataframe(pd.DataFrame(rows), hide_index=True, key="launch-differences", height="content")


def _refusal(draft: Draft) -> None:
    said = [plain(problem) for problem in draft.resolved.problems.values()]
    listed = said[0] if len(said) == 1 else "\n" + "\n".join(f"- {one}" for one in said)
    st.error(f"**This cannot start yet.** {listed}", icon=":material/error:")


def _before_start(settings: Settings, draft: Draft, config: PipelineConfig, fields: ConfigFields) -> None:
    st.markdown("#### What it takes")
    with guarded("The estimate"):
        made = estimate_run(settings, config)
        st.markdown(plain(summary(made)))
        st.table(pd.DataFrame(estimate_rows(made)), border="horizontal", hide_index=True, alt="Time of each stage")
        st.caption(plain(f"{interval_words(made)} {COST}".strip()))
        for warning in (contention_words(run_rows(settings)), shortage(settings, made)):
            if warning:
                st.warning(plain(warning), icon=":material/warning:")
        with st.container(horizontal=True, gap="small"):
            st.button(
                "Start", key="launch-start", icon=":material/play_arrow:", on_click=begin,
                args=(config, fields.forget),
            )  # fmt: skip
            st.download_button(
                "Download YAML", config.to_yaml(), f"{config.name}.yaml", "application/yaml", key="launch-yaml",
                on_click="ignore", icon=":material/download:", help="All settings, resolved",
            )  # fmt: skip
    st.caption("The same in a terminal:")
    st.code(draft.command, language=None, wrap_lines=True)
