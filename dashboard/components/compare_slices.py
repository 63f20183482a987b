"""A comparison by slices, and length against preference. Owns keys `compare-…`."""

from __future__ import annotations

from math import isfinite
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import charts, compare_charts
from dashboard.components import pair_results
from dashboard.components.compare_choice import URL, Browsed
from dashboard.components.look import current_palette, data_behind, show_figure
from dashboard.components.states import empty_state
from dashboard.components.word_diff import contender_colours
from dashboard.services import wording
from dashboard.services.compare_words import length_of_scores_sentence
from dashboard.services.comparing import SCORE, Measure
from dashboard.services.pair_votes import summary
from dashboard.services.slices import SLICES, Slice, slices
from rlhf_core.evaluation.statistics import Estimate

VOTES, SCORES = "Votes", "Score change"
LETTERS = 36
"""So many letters of a slice's name fit beside its interval."""


def by_slices(browsed: Browsed) -> None:
    """Show the mean change of a measure and people's win rate by slices, each with its interval and n."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        by = st.segmented_control(
            "Slices by", list(SLICES), default=next(iter(SLICES)), required=True, key="compare-slices", bind=URL
        )
        measure = _measure(browsed)
    found = slices(browsed.compared, browsed.table.loc[browsed.kept], browsed.judged, by, measure)
    left, right = st.columns(2, gap="medium")
    with left:
        _changes(browsed, found, measure)
    with right:
        _rates(browsed, found)
    st.caption("Each interval is a 95% one by itself: of twenty slices one is expected to miss.")
    rows = [_row(one, what, estimate) for one in found for what, estimate in _estimates(one) if estimate is not None]
    data_behind(pd.DataFrame(rows), "data-slices", "Data behind the slices")


def against_length(browsed: Browsed) -> None:
    """Show the change of length against what was preferred, and what is left of it at equal length."""
    ways = ([VOTES] if browsed.votes else []) + ([SCORES] if SCORE in browsed.compared.measures else [])
    if not ways:
        empty_state("Nothing to compare length with", "Scores or votes appear here.", "rlhf evaluate CONFIG.yaml")
        return
    way = ways[0]
    if len(ways) > 1:
        way = st.segmented_control("Preferred by", ways, default=ways[0], required=True, key="compare-by", bind=URL)
    share = way == VOTES
    column = "win_rate" if share else SCORE.column("change")
    part = browsed.table.loc[browsed.kept].dropna(subset=[column])
    if part.empty:
        empty_state("No prompt here has been judged", "Take filters off, or judge some on the Judge page.")
        return
    words, preference = part["words"].to_numpy(float), part[column].to_numpy(float)
    title = f"win rate of the {browsed.names[1]}" if share else "change of score"
    meaning = f"a dot a prompt, n = {len(part):,}; filled: the {browsed.names[1]} is preferred"
    st.markdown(f"**Length and preference** :small[:gray[{wording.plain(meaning)}]]")
    figure = compare_charts.length_scatter(words, preference, part["prompt"].tolist(), current_palette(), title, share)
    show_figure(figure, "length-scatter", f"Change of length in words against {title}, {len(part):,} prompts")
    if share:
        _at_equal_length(browsed, part)
    else:
        st.markdown(wording.plain(length_of_scores_sentence(browsed.table, browsed.kept)))
    data_behind(part[["prompt_id", "words", column]], "data-length-scatter")


def _at_equal_length(browsed: Browsed, part: pd.DataFrame) -> None:
    votes = browsed.judged
    mine = votes.loc[votes["prompt_id"].isin(part["prompt_id"])]
    if len(mine) and browsed.votes is not None:
        pair_results.length(summary(mine, browsed.votes.simulated))


def _measure(browsed: Browsed) -> Measure | None:
    named = {f"{m.scorer}: {m.measure.replace('_', ' ')}": m for m in browsed.compared.measures}
    if not named:
        return None
    chosen = st.selectbox("Measure", list(named), key="compare-measure", bind=URL, width=260)
    return named.get(chosen)


def _changes(browsed: Browsed, found: list[Slice], measure: Measure | None) -> None:
    if measure is None or not any(one.change for one in found):
        empty_state("No scores", "The change of scores by slice appears here.", "rlhf evaluate CONFIG.yaml")
        return
    unit = browsed.compared.scale[measure][0]
    st.markdown(f"**Mean change** :small[:gray[{wording.plain(f'{measure.scorer}, {measure.measure}, in {unit}')}]]")
    _intervals(browsed, {one: one.change for one in found}, 0.0, f"change, {unit}, 95% interval", "slices-change")


def _rates(browsed: Browsed, found: list[Slice]) -> None:
    if browsed.votes is None or not any(one.win_rate for one in found):
        empty_state("No votes", "People’s win rate by slice appears here once these answers have been judged.")
        return
    whose = "simulated votes" if browsed.votes.simulated else "people’s votes"
    st.markdown(f"**Win rate of the {wording.plain(browsed.names[1])}** :small[:gray[{whose}]]")
    _intervals(browsed, {one: one.win_rate for one in found}, 0.5, "win rate, 95% interval", "slices-rate")


def _intervals(
    browsed: Browsed, estimates: dict[Slice, Estimate | None], reference: float, title: str, key: str
) -> None:
    known = {one: estimate for one, estimate in estimates.items() if estimate is not None}
    names = [f"{charts.cut(one.name, LETTERS) or 'all'} (n = {estimate.n:,})" for one, estimate in known.items()]
    rows = [(e.value, *((e.low, e.high) if isfinite(e.high - e.low) else (e.value, e.value))) for e in known.values()]
    palette, colour = current_palette(), contender_colours(browsed.compared.baseline, browsed.compared.contender)[1]
    colours = [palette.ink if not one.name else colour for one in known]
    figure = charts.intervals(
        names, rows, palette, reference=reference, x_title=title, share=reference == 0.5, colours=colours
    )
    said = "; ".join(f"{name} {value:.2f}" for name, (value, *_) in zip(names, rows, strict=True))
    show_figure(figure, key, f"{title}: {said}")


def _estimates(one: Slice) -> list[tuple[str, Estimate | None]]:
    return [("mean change", one.change), ("win rate", one.win_rate)]


def _row(one: Slice, what: str, estimate: Estimate) -> dict[str, Any]:
    return {"slice": one.name or "all", "prompts": one.prompts, "what": what} | estimate.as_json()
