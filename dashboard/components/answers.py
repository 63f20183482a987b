"""One prompt with both answers side by side, what differs marked, and every score. Owns keys `compare-…`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard.components.compare_choice import URL, Browsed
from dashboard.components.word_diff import contender_colours, legend, show_marked
from dashboard.services import wording
from dashboard.services.comparing import SCORE
from dashboard.services.prompt_rows import score_rows
from dashboard.services.word_diff import diff_words, only
from rlhf_core.report.words import sentence_case
from rlhf_core.visible import visible

AT_FIRST = 20_000
"""So many characters of a text are shown at first."""
SIDE_BY_SIDE, ONE_TEXT, PLAIN = "Side by side", "One text", "Plain"


def answers(browsed: Browsed, row: Mapping[str, Any]) -> None:
    """Show what was asked, with the turns before it where it goes on a conversation, and both answers."""
    st.markdown(f"**Prompt** {_category(row['category'])}")
    with st.container(border=True):
        st.text(_cut(row["prompt"], "prompt"))
    way = st.segmented_control(
        "Answers",
        [SIDE_BY_SIDE, ONE_TEXT, PLAIN],
        default=SIDE_BY_SIDE,
        required=True,
        key="compare-answers",
        bind=URL,
        label_visibility="collapsed",
    )
    texts = _cut(row["before"], "before"), _cut(row["after"], "after")
    if way == ONE_TEXT:
        with st.container(border=True):
            show_marked(diff_words(*texts), *contender_colours(*_contenders(browsed)), struck=True)
        st.caption(wording.plain(legend(*browsed.names, struck=True)))
    else:
        _two_columns(browsed, row, texts, marked=way == SIDE_BY_SIDE)


def scores_table(browsed: Browsed, row: Mapping[str, Any]) -> None:
    """Show every measure of both answers to one prompt."""
    frame = score_rows(browsed.compared, row)
    number, change = (st.column_config.NumberColumn(format=form) for form in ("%.3g", "%+.3g"))
    config = {name: change if name == "Change" else number for name in frame.columns[1:]}
    st.dataframe(frame, hide_index=True, column_config=config, key="compare-scores", alt="Every score of both answers")


def _two_columns(browsed: Browsed, row: Mapping[str, Any], texts: tuple[str, str], *, marked: bool) -> None:
    segments = diff_words(*texts) if marked else ()
    colours = contender_colours(*_contenders(browsed))
    sides = zip(st.columns(2, gap="small"), browsed.names, texts, ("before", "after"), strict=True)
    for place, name, text, side in sides:
        with place.container(border=True, height="stretch", key=f"compare-answer-{side}"):
            st.markdown(
                f"**{wording.plain(sentence_case(name))}** :small[:gray[{wording.plain(_numbers(browsed, row, side))}]]"
            )
            if not text:
                st.caption("An empty answer.")
            elif marked:
                show_marked(only(segments, "removed" if side == "before" else "added"), *colours, struck=False)
            else:
                st.text(text)
    if marked:
        st.caption(wording.plain(legend(*browsed.names, struck=False)))


def _numbers(browsed: Browsed, row: Mapping[str, Any], side: str) -> str:
    """Return an answer's score, toxicity and length."""
    compared, parts = browsed.compared, []
    if SCORE in compared.measures:
        parts.append(f"score {wording.number(row[SCORE.column(side)])}")
    if compared.toxicity is not None and compared.toxicity in compared.measures:
        parts.append(f"{compared.toxicity.label.lower()} {wording.number(row[compared.toxicity.column(side)], 3)}")
    return " · ".join([*parts, wording.count(int(row[f"words_{side}"]), "word")])


def _category(name: str) -> str:
    return f":small[:gray[{wording.plain(name)}]]" if name else ""


def _contenders(browsed: Browsed) -> tuple[str, str]:
    return browsed.compared.baseline, browsed.compared.contender


def _cut(text: str, name: str) -> str:
    """Return a text as it is shown; of a huge one, which keeps a browser busy for seconds, its beginning and a way to the rest."""
    shown = visible(text)
    if len(shown) <= AT_FIRST:
        return shown
    whole = st.toggle(f"Show all {len(shown):,} characters of the {_CALLED[name]}", key=f"compare-all-{name}")
    return shown if whole else shown[:AT_FIRST]


_CALLED = {"prompt": "prompt", "before": "first answer", "after": "second answer"}
