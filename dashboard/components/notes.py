"""What people noted about a run, and where they write it. Owns the keys `note-…`."""

from __future__ import annotations

import streamlit as st

from dashboard.components.states import guarded
from dashboard.services.access import MANAGE
from dashboard.services.catalogue import RunEntry
from dashboard.services.settings import Settings
from rlhf_core.runs.notes import MOST, read_notes, write_notes


def notes_panel(settings: Settings, entry: RunEntry) -> None:
    """Show the notes of a run; who may manage runs can write there. The recorded run takes none."""
    with guarded("The notes"):
        notes = read_notes(entry.path)
        if notes:
            st.markdown(notes)
        if settings.visitor.may(MANAGE) and not entry.recorded:
            _editor(entry, notes)


def _editor(entry: RunEntry, notes: str) -> None:
    key = f"note-{entry.name}"
    label = "Edit the notes" if notes else "Add a note"
    panel = st.expander(label, key=f"{key}-panel", icon=":material/edit_note:", type="compact", on_change="rerun")
    if not panel.open:
        st.session_state.pop(f"{key}-before", None)
        return
    before = st.session_state.setdefault(f"{key}-before", notes)
    with panel, st.form(f"{key}-form", border=False):
        text = st.text_area("Notes on this run, in Markdown", before, key=f"{key}-text", max_chars=MOST)
        st.caption("Kept beside the run, in its notes.md.")
        if st.form_submit_button("Save"):
            write_notes(entry.path, text or "", before)
            st.session_state[f"{key}-before"] = text or ""
            st.rerun()
