"""Completions that name their author: the words around the place, the place itself marked."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.services.leak_rows import LeakRow
from dashboard.services.wording import count, plain

SHOWN = 20


def leak_list(rows: Sequence[LeakRow]) -> None:
    """Show the first leaks in full, and how many more there are."""
    for row in rows[:SHOWN]:
        with st.container(border=True, gap="xsmall"):
            st.caption(f"{plain(row.prompt_id)} · {plain(row.contender)}")
            before = plain(row.before) + " " * row.before.endswith(" ")
            after = " " * row.after.startswith(" ") + plain(row.after)
            st.markdown(f"{before}:orange-background[**{plain(row.phrase)}**]{after}")
    if len(rows) > SHOWN:
        st.caption(f"{count(len(rows) - SHOWN, 'more place')} like these; `rlhf task show` lists all of a stored task.")
