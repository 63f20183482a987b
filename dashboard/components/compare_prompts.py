"""The prompts of a comparison as a table, and the one that is chosen in full. Owns keys `compare-…`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.components.answers import answers, scores_table
from dashboard.components.arrival import arrive_at
from dashboard.components.compare_choice import URL, Browsed, clear_filters
from dashboard.components.states import empty_state
from dashboard.components.vote_rows import vote_table
from dashboard.services import wording
from dashboard.services.prompt_rows import as_csv, choice_sentence, display, orders
from dashboard.services.prompt_table import in_order

ROWS, PROMPT, CHOSEN, LINKED = "compare-rows", "compare-prompt", "compare-chosen", "compare-linked"
LOW, HIGH = "Lowest first", "Highest first"
TABLE_HEIGHT = 330
WIDTHS = {
    "Prompt": 270,
    "Category": 85,
    "Words change": 110,
    "Characters change": 140,
    "Win rate": 80,
    "Votes and score": 120,
    "Votes": 60,
    "Score change": 105,
}
SAID = ("Outcome", "Reason", "Labeller", "Criterion", "Seconds", "When (UTC)")


def prompts(browsed: Browsed) -> None:
    """Show the kept prompts as rows, the chosen one marked, and below them what was answered to it."""
    if browsed.table.empty:
        empty_state("No prompt was answered by both", "Choose other contenders, or have both answer the same prompts.")
        return
    if not browsed.kept.any():
        empty_state("No prompt fits the filters", "Loosen one of them, or take all off.")
        st.button("Take all filters off", key="compare-clear", on_click=clear_filters, icon=":material/filter_alt_off:")
        return
    linked = st.session_state.setdefault(LINKED, st.query_params.get(PROMPT, ""))
    every = _order(browsed)
    rows = _sorted(browsed)
    table = st.container()
    chosen = _choose(rows["prompt_id"].tolist())
    with table:
        _table(browsed, rows, chosen, every)
    row = rows.iloc[chosen].to_dict()
    answers(browsed, row)
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Scores**")
        scores_table(browsed, row)
    with right:
        _votes(browsed, row)
    if linked:
        arrive_at(CHOSEN, linked)


def _order(browsed: Browsed) -> bool:
    """Ask how to sort; return whether every score is shown."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        st.selectbox("Sort by", list(_orders(browsed)), key="compare-sort", bind=URL, width=220)
        st.segmented_control("Order", [LOW, HIGH], default=LOW, required=True, key="compare-order", bind=URL)
        every = st.toggle(
            "Every score", key="compare-every", bind=URL, help="All measures of all scorers, before and after"
        )
        rows = browsed.table.loc[browsed.kept]
        st.download_button(
            f"Download {wording.count(len(rows), 'row')} as CSV",
            lambda: as_csv(browsed.compared, rows),
            f"{browsed.compared.contender}-against-{browsed.compared.baseline}.csv",
            "text/csv",
            key="compare-csv",
            icon=":material/table:",
            on_click="ignore",
        )
    return every


def _orders(browsed: Browsed) -> dict[str, str]:
    return orders(browsed.compared, browsed.votes is not None)


def _sorted(browsed: Browsed) -> pd.DataFrame:
    column = _orders(browsed).get(st.session_state["compare-sort"], "prompt_id")
    return in_order(browsed.table.loc[browsed.kept], column, st.session_state["compare-order"] == HIGH)


def _choose(ids: list[str]) -> int:
    """Return the place of the chosen prompt, at first the first: by its name, a click on its row, or from another one on."""
    st.session_state["compare-ids"] = ids
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom", key=CHOSEN):
        place = ids.index(st.selectbox("Prompt", ids, key=PROMPT, bind=URL, width=260))
        st.button("Previous", key="compare-back", on_click=_step, args=(place - 1,), shortcut="K", disabled=place == 0)
        st.button(
            "Next", key="compare-on", on_click=_step, args=(place + 1,), shortcut="J", disabled=place == len(ids) - 1
        )
        st.caption(f"{place + 1:,} of {len(ids):,} in this order", width="content")
    return place


def _table(browsed: Browsed, rows: pd.DataFrame, chosen: int, every: bool) -> None:
    frame, forms = display(browsed.compared, rows, browsed.votes is not None, every)
    st.session_state[ROWS] = {"selection": {"rows": [chosen], "columns": [], "cells": []}}
    st.dataframe(
        frame,
        hide_index=True,
        column_config={name: _column(name, form) for name, form in forms.items()},
        key=ROWS,
        height=min(TABLE_HEIGHT, 38 + 35 * len(frame)),
        on_select=_clicked,
        selection_mode="single-row",
        alt=f"Prompts, with what changed from the {browsed.names[0]} to the {browsed.names[1]}",
    )


def _column(name: str, form: str) -> Any:
    if form == "":
        return st.column_config.TextColumn(name, width=WIDTHS.get(name, 100))
    wide = 230 if ":" in name else 125
    return st.column_config.NumberColumn(name, format=form, width=WIDTHS.get(name, wide))


def _votes(browsed: Browsed, row: Mapping[str, Any]) -> None:
    """Show all votes on the prompt, of every criterion, with what was said."""
    st.markdown("**Votes**")
    if browsed.votes is None:
        st.markdown(
            "Nobody has judged these two yet. The Judge page shows answers blind; votes on a prompt appear here."
        )
        return
    mine = browsed.votes.frame.loc[browsed.votes.frame["prompt_id"] == row["prompt_id"]]
    if mine.empty:
        st.markdown("Nobody has judged this prompt yet.")
        return
    if browsed.votes.simulated:
        st.caption("A rule made these votes; no person judged.")
    if said := choice_sentence(browsed.compared, row):
        st.markdown(wording.plain(said))
    st.dataframe(
        vote_table(mine)[list(SAID)],
        hide_index=True,
        column_config={"Seconds": st.column_config.NumberColumn(format="%.1f")},
        key="compare-votes-on",
        alt="Votes on this prompt",
    )


def _clicked() -> None:
    """Choose the prompt of the row that was clicked; a second click on it leaves it chosen."""
    rows = st.session_state[ROWS]["selection"]["rows"]
    if rows:
        _step(rows[0])


def _step(place: int) -> None:
    st.session_state[PROMPT] = st.session_state["compare-ids"][place]
