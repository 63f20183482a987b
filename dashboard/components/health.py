"""What is out of order in a stage's metrics, with the figures that show it and what people usually do; or that nothing is."""

from __future__ import annotations

import streamlit as st

from dashboard.services import curves, wording
from dashboard.services.catalogue import RunEntry
from rlhf_core.report.health import Finding, examine, looked_at


def health_panel(entry: RunEntry, stage: str) -> None:
    """Show the findings of a stage, the gravest first; nothing before its first metrics."""
    metrics = entry.reader.metrics(stage)
    if metrics.empty:
        return
    found = examine(stage, metrics, entry.reader.config())
    if found:
        st.markdown("#### What stands out")
        for finding in found:
            _finding(finding)
    said = "Nothing else stands out" if found else "Nothing stands out"
    st.caption(f"{said}. Looked at: {wording.plain(wording.listed(looked_at(stage)))}.")


def _finding(finding: Finding) -> None:
    with st.container(border=True):
        st.markdown(f":material/flag: **{wording.plain(finding.title)}**  \n{wording.plain(finding.evidence)}")
        st.caption(
            f"What people do: {wording.plain(finding.advice)} Curve: {wording.plain(curves.label(finding.metric))}."
        )
