"""What is out of order in a stage's metrics, with the figures that show it and what people usually do; or that nothing is."""

from __future__ import annotations

import streamlit as st

from dashboard.services import curve_names, wording
from dashboard.services.catalogue import RunEntry
from dashboard.services.health import findings
from rlhf_core.report.health import Finding, looked_at


def health_panel(entry: RunEntry, stage: str) -> None:
    """Show the findings of a stage, the gravest first; nothing before its first metrics, or of other training."""
    found = findings(entry, stage)
    if found is None or not looked_at(stage):
        return
    if found:
        st.markdown("#### What stands out")
        for finding in found:
            _finding(finding)
    said = "Nothing else stands out" if found else "Nothing stands out"
    if entry.reader.status().imported:  # it may have logged nothing of what is looked at
        st.caption(f"{said} in what was imported.")
        return
    st.caption(f"{said}. Looked at: {wording.plain(wording.listed(looked_at(stage)))}.")


def _finding(finding: Finding) -> None:
    with st.container(border=True):
        st.markdown(f":material/flag: **{wording.plain(finding.title)}**  \n{wording.plain(finding.evidence)}")
        st.caption(
            f"What people do: {wording.plain(finding.advice)} Curve: {wording.plain(curve_names.label(finding.metric))}."
        )
