"""One row a stage: state, progress and time."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.services import wording
from dashboard.services.catalogue import STAGE_NAMES
from rlhf_core.runs.reader import RunStatus, StageStatus

BADGES = {
    "waiting": ":gray-badge[:material/schedule: waiting]",
    "running": ":blue-badge[:material/play_arrow: running]",
    "complete": ":green-badge[:material/check: complete]",
    "failed": ":red-badge[:material/error: failed]",
    "interrupted": ":orange-badge[:material/power_off: interrupted]",
    "paused": ":orange-badge[:material/pause: paused]",
}


def stage_table(status: RunStatus) -> None:
    """Show every stage in order, and a bar for the one that runs."""
    current = status.current
    if current is not None and current.state == "running":
        left = wording.time_left(current.eta_seconds)
        name = STAGE_NAMES[current.name]
        st.progress(current.progress, text=f"{name}: step {current.step} of {current.total}{left}")
    rows = pd.DataFrame([_row(stage) for stage in status.stages])
    st.table(rows, border="horizontal", hide_index=True, alt="Stages with their state, steps and time")


def _row(stage: StageStatus) -> dict[str, str]:
    return {
        "Stage": f"**{STAGE_NAMES[stage.name]}**{_note(stage)}",
        "State": BADGES.get(stage.state, wording.plain(stage.state)),
        "Steps": _steps(stage),
        "Time": _time(stage),
    }


def _note(stage: StageStatus) -> str:
    return f" :small[:gray[{wording.plain(stage.message)}]]" if stage.message else ""


def _steps(stage: StageStatus) -> str:
    if not stage.total:
        return "–"
    return str(stage.total) if stage.state == "complete" else f"{stage.step}\u00a0/\u00a0{stage.total}"


def _time(stage: StageStatus) -> str:
    spent = wording.duration(stage.seconds) if stage.seconds else "–"
    return spent.replace(" ", "\u00a0") + wording.time_left(stage.eta_seconds)
