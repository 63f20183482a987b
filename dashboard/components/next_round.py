"""What people's votes lead to: the command that learns from them, or the round that has done so."""

from __future__ import annotations

import streamlit as st

from dashboard.components.links import link_to
from dashboard.services.catalogue import RunEntry
from dashboard.services.next_round import next_round
from dashboard.services.settings import Settings
from dashboard.services.wording import plain

BEGINS = """These votes can teach the next reward model. One command in a terminal does the whole round: it trains on half of the
judged prompts, tests the reward model on the others, tunes the tuned model further, and makes the task on which people judge it.
Stopped, the same command goes on."""


def next_round_section(settings: Settings, entry: RunEntry) -> None:
    """Show how a run that people have judged goes on; nothing for any other run."""
    found = next_round(settings, entry)
    if found is None:
        return
    st.markdown("#### The next round")
    if found.begun:
        st.markdown(f"Round {found.number} learns from votes on this run.")
        link_to("Runs", plain(f"Round {found.number}: {found.run}"), open=found.run)
    else:
        st.markdown(BEGINS)
        st.code(found.command, language=None, wrap_lines=True)
