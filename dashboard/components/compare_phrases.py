"""What one contender says more often than the other; a phrase chosen here filters the prompts. Owns keys `compare-…`."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import charts
from dashboard.components.compare_choice import URL, Browsed
from dashboard.components.look import current_palette, show_figure
from dashboard.components.states import empty_state
from dashboard.components.word_diff import contender_colours
from dashboard.services import wording
from dashboard.services.compare_words import PHRASE_HOW, phrases_sentence
from dashboard.services.phrase_rows import drawn, phrase_report, phrase_table, phrases_csv
from rlhf_core.evaluation.phrases import Phrase, PhraseReport

TABLE = "compare-phrase-rows"
TABLE_HEIGHT = 640
WORDS = {"1 to 3": 1, "2 or 3": 2, "3": 3}


def phrases(browsed: Browsed) -> None:
    """Show the phrases that differ as a picture and a table."""
    shortest = st.segmented_control(
        "Words of a phrase", list(WORDS), default=next(iter(WORDS)), required=True, key="compare-words", bind=URL
    )
    report = phrase_report(browsed.compared, browsed.kept, WORDS.get(shortest, 1))
    st.markdown(wording.plain(phrases_sentence(report, browsed.compared)))
    if not report.phrases:
        empty_state("No phrases yet", "More prompts, or fewer filters, let phrases be compared.")
        return
    left, right = st.columns([2, 3], gap="medium")
    with left:
        _picture(browsed, report)
    with right:
        table = phrase_table(browsed.compared, report.phrases)
        st.caption(f"The {len(table):,} clearest. Choose a row to see the prompts whose answers contain it.")
        _table(table)
        st.download_button(
            "Download these phrases as CSV",
            lambda: phrases_csv(browsed.compared, report),
            f"{browsed.compared.contender}-against-{browsed.compared.baseline}-phrases.csv",
            "text/csv",
            key="compare-phrases-csv",
            icon=":material/table:",
            on_click="ignore",
        )
    st.caption(wording.plain(PHRASE_HOW))


def _picture(browsed: Browsed, report: PhraseReport) -> None:
    chosen = drawn(report)
    colours = contender_colours(browsed.compared.baseline, browsed.compared.contender)
    figure = charts.intervals(
        [phrase.text for phrase in chosen],
        [_points(phrase) for phrase in chosen],
        current_palette(),
        reference=0.0,
        x_title="points of difference, 95% interval",
        colours=[colours[phrase.z > 0] for phrase in chosen],
    )
    ours, theirs = browsed.names[1], browsed.names[0]
    st.markdown(f"**Right: more often by the {wording.plain(ours)}; left: by the {wording.plain(theirs)}**")
    said = "; ".join(f"{phrase.text} {100 * phrase.difference.value:+.0f}" for phrase in chosen)
    show_figure(figure, "phrases", f"Difference of shares of answers that contain a phrase, in points: {said}")


def _points(phrase: Phrase) -> tuple[float, float, float]:
    one = phrase.difference
    return 100 * one.value, 100 * one.low, 100 * one.high


def _table(table: pd.DataFrame) -> None:
    st.session_state["compare-phrases"] = table["Phrase"].tolist()
    config = {name: st.column_config.NumberColumn(name, format="%.2f", width="small") for name in ("Log odds", "z")}
    config["q"] = st.column_config.NumberColumn("q", format="%.3f", width="small", help="False discovery rate")
    st.dataframe(
        table, hide_index=True, column_config=config, key=TABLE, on_select=_clicked, selection_mode="single-row",
        height=TABLE_HEIGHT, alt="Phrases by how clearly the contenders differ",
    )  # fmt: skip


def _clicked() -> None:
    rows = st.session_state[TABLE]["selection"]["rows"]
    if rows:
        st.session_state["compare-phrase"] = st.session_state["compare-phrases"][rows[0]]
        st.session_state["compare-view"] = "Prompts"
