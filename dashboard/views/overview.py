"""Overview: what was trained, did it get better, can I trust that, what next."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.components.gate import current_settings
from dashboard.components.imported import curves_alone
from dashboard.components.links import link_to
from dashboard.components.look import page_heading
from dashboard.components.runs import START_COMMAND, live, pick_run
from dashboard.components.stages import stage_table
from dashboard.components.states import guarded
from dashboard.services import wording
from dashboard.services.catalogue import RunEntry, imported_from
from dashboard.services.headline import Check, Figure, build_headline, status_sentence
from dashboard.services.judged import results_of_run
from dashboard.services.settings import Settings
from dashboard.services.voting import can_judge, human_votes
from rlhf_core.runs.reader import STOPPED

ENOUGH_VOTES = 100
SKELETON = 260
"""Pixels: the heading and the cards."""
READINGS = {
    "holds": ":green[:material/check_circle:] holds",
    "look": ":orange[:material/visibility:] look closer",
    "not measured": ":gray[:material/remove:] not measured",
}


def show() -> None:
    """Draw the page."""
    settings = current_settings()
    if (entry := pick_run(settings)) is None:
        return
    live(lambda: _body(settings, entry), settings, entry)


def _body(settings: Settings, entry: RunEntry) -> None:
    headline, imported = None, imported_from(entry)
    with guarded("The result"):
        with st.skeleton(height=SKELETON):
            headline = build_headline(entry, results_of_run(settings, entry))
        page_heading("Overview", headline.sentence, headline.people)
        if not imported:
            _cards(headline.figures)
    with guarded("The state of the stages"):
        st.markdown("#### What was trained")
        status = entry.reader.status()
        stage_table(status)
        st.caption(wording.plain(_provenance(entry, status.updated)))
    if headline and not imported:
        st.markdown("#### Can I trust it?")
        _checks(headline.checks)
    with guarded("The next step"):
        _what_next(settings, entry)


def _cards(figures: tuple[Figure, ...]) -> None:
    for column, figure in zip(st.columns(len(figures)), figures, strict=True):
        column.metric(
            figure.label,
            wording.plain(figure.value),
            figure.interval,
            delta_color="off",
            delta_arrow="off",
            help=figure.source,
            border=True,
            height="stretch",
        )
    st.caption("Square brackets hold 95% intervals.")


def _checks(checks: tuple[Check, ...]) -> None:
    rows = [
        {"Question": wording.plain(c.question), "Measured": wording.plain(c.measured), "Reading": READINGS[c.reading]}
        for c in checks
    ]
    st.table(pd.DataFrame(rows), border="horizontal", hide_index=True, alt="Reasons to trust the result or not")


def _provenance(entry: RunEntry, updated: float | None) -> str:
    environment, origin = entry.reader.environment, entry.reader.lineage()
    parts = [f"round {origin.round}, from {origin.brief}" if origin else ""]
    if environment:  # of an imported run nothing is known
        commit = str(environment.get("commit") or "unknown")[:10]
        hardware = environment.get("accelerator") or environment.get("cpu")
        parts += [f"seed {environment.get('seed', 'unknown')}", f"commit {commit}", hardware]
    when = "recorded" if entry.recorded else "imported" if imported_from(entry) else "last written"
    return " · ".join([f"{when} {wording.ago(updated)}", *(part for part in parts if part)])


def _what_next(settings: Settings, entry: RunEntry) -> None:
    status = entry.reader.status()
    if status.state in STOPPED:
        st.markdown(f"**Next:** {wording.plain(status_sentence(status))} The same command goes on where it stopped:")
        st.code(str(entry.reader.environment.get("command") or START_COMMAND), language=None)
    elif status.imported:
        link_to("Training", "Next: look at its curves")
        curves_alone("compare")
    elif not can_judge(entry):
        link_to("Training", "Next: follow the curves while it trains")
    elif len(human_votes(settings, entry)) < ENOUGH_VOTES:
        link_to("Judge", "Next: judge some pairs, blind")
    else:
        link_to("Results", "Next: read what people prefer")
