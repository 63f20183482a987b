"""Training: curves of every stage, several runs overlaid, and what the policy wrote along the way."""

from __future__ import annotations

import streamlit as st

from dashboard.components.curves import curves_panel
from dashboard.components.drift import drift_section, early_end
from dashboard.components.gate import current_settings
from dashboard.components.health import health_panel
from dashboard.components.look import data_behind, page_heading
from dashboard.components.notes import notes_panel
from dashboard.components.reward_test import reward_test
from dashboard.components.runs import live, pick_more_runs, pick_run
from dashboard.components.samples import samples_section
from dashboard.components.states import guarded
from dashboard.services import wording
from dashboard.services.catalogue import STAGE_NAMES, RunEntry, imported_from, newest_stage, shown_stages
from dashboard.services.configuration import differences
from dashboard.services.curves import read_metrics
from dashboard.services.headline import status_sentence
from dashboard.services.settings import Settings

SKELETON = 560
"""Pixels: two rows of curves."""


def show() -> None:
    """Draw the page."""
    settings = current_settings()
    if (entry := pick_run(settings)) is None:
        return
    entries = pick_more_runs(settings, entry)
    live(lambda: _body(settings, entries), settings, entry)


def _body(settings: Settings, entries: list[RunEntry]) -> None:
    with guarded("The state of the run"):
        page_heading("Training", status_sentence(entries[0].reader.status()))
    notes_panel(settings, entries[0])
    stage = st.segmented_control(
        *("Stage", shown_stages(entries)),
        default=newest_stage(entries[0]),
        required=True,
        format_func=STAGE_NAMES.__getitem__,
        key="stage",
        bind="query-params",
    )
    with guarded(f"{STAGE_NAMES[stage]} curves"), st.skeleton(height=SKELETON):
        read_metrics(entries, stage)
    if stage == "ppo":
        with guarded("How the run ended"):
            early_end(entries[0])
    with guarded("What stands out"):
        health_panel(entries[0], stage)
    _curves(entries, stage)
    if len(entries) > 1:
        with guarded("What differs in the configurations"):
            _configurations(entries)
    if stage == "reward":
        with guarded("The reward model's test"):
            reward_test(entries[0])
    if stage == "ppo":
        with guarded("Reward against drift"):
            drift_section(entries[0])
        with guarded("Completions through training"):
            samples_section(entries[0])


@st.fragment
def _curves(entries: list[RunEntry], stage: str) -> None:
    """The curves: what is chosen there redraws them alone."""
    with guarded(f"{STAGE_NAMES[stage]} curves"):
        curves_panel(entries, stage)


def _configurations(entries: list[RunEntry]) -> None:
    known = [entry for entry in entries if not imported_from(entry)]
    differing = differences(known)
    if len(known) < 2:
        st.caption("Of an imported run there is no configuration to compare.")
    elif differing.empty:
        st.caption("These runs have the same configuration.")
    else:
        data_behind(differing, "data-configuration", f"Configuration: {wording.count(len(differing), 'difference')}")
