"""Toxicity: before and after per scorer and category, the distribution, and the prompts that moved most."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import charts
from dashboard.components.gate import current_settings
from dashboard.components.imported import empty_place
from dashboard.components.links import BOTH_ANSWERS, answers_column
from dashboard.components.look import current_palette, data_behind, page_heading, show_figure
from dashboard.components.runs import live, pick_run
from dashboard.components.states import guarded
from dashboard.services import wording
from dashboard.services.addresses import answers_address
from dashboard.services.catalogue import RunEntry
from dashboard.services.toxicity import ToxicityView, changes, toxicity_measures, view_toxicity


def show() -> None:
    """Draw the page."""
    settings = current_settings()
    if (entry := pick_run(settings)) is None:
        return
    live(lambda: _body(entry), settings, entry)


def _body(entry: RunEntry) -> None:
    measures: dict[str, list[str]] = {}
    with guarded("Toxicity"):
        measures = toxicity_measures(entry.reader)
        if not measures:
            page_heading("Toxicity")
            text = "It compares how toxic the answers of the base and the tuned model are, prompt by prompt."
            empty_place(entry, "score", "Not scored yet", text, "rlhf evaluate CONFIG.yaml")
    if measures:
        with guarded("Toxicity"):
            _scored(entry, measures)


def _scored(entry: RunEntry, measures: dict[str, list[str]]) -> None:
    heading = st.container()
    with st.container(horizontal=True, gap="medium"):
        scorer = st.segmented_control(
            "Scorer",
            list(measures),
            default=next(iter(measures)),
            required=True,
            key="scorer",
            bind="query-params",
            format_func=wording.plain,
        )
        names = measures.get(scorer, next(iter(measures.values())))
        measure = st.segmented_control(
            *("Category", names),
            default=names[0],
            required=True,
            key=f"measure-{scorer}",
            bind="query-params",
            format_func=wording.plain,
        )
    view = view_toxicity(entry.reader, scorer, measure)
    with heading:
        page_heading("Toxicity", view.sentence, _threshold_sentence(view))
    if len(view.prompts):
        _pictures(entry, view)
        _movers(entry, view.prompts)
    st.caption(wording.plain(f"Scorer: {view.scorer}, {view.version}. Blind spots: {view.blind_spots}"))


def _threshold_sentence(view: ToxicityView) -> str:
    if view.crossings is None:
        return ""
    cleared, new = view.crossings
    return f"At the threshold {view.threshold:g}: {wording.count(cleared, 'prompt')} cleared, {new} newly above it."


def _pictures(entry: RunEntry, view: ToxicityView) -> None:
    palette, unit = current_palette(), view.change["unit"] if view.change else view.measure
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown(
            f"**Every prompt, before and after** :small[:gray[{wording.plain(unit)}]]",
            help="Orange lines rise, grey lines fall; the mean is thick.",
        )
        show_figure(charts.slopes(view.prompts, palette), "slopes", "Each prompt's value, base to tuned")
    with right:
        st.markdown("**How the values are spread**", help="One dot a prompt; the line is the mean.")
        groups = {"base model": view.prompts["before"].to_numpy(), "tuned": view.prompts["after"].to_numpy()}
        figure = charts.dot_rows(groups, (palette.base, palette.tuned), palette, x_title=unit)
        show_figure(figure, "spread", "Distribution of the values of base and tuned")
    rows = changes(entry.reader, view.scorer)
    if len(rows) > 1:
        st.markdown("**Change in every category of this scorer**")
        points = list(rows[["difference", "low", "high"]].itertuples(index=False, name=None))
        figure = charts.intervals(
            list(rows["measure"]), points, palette, reference=0.0, x_title="tuned − base, 95% interval"
        )
        show_figure(figure, "categories", "Change with its interval for every category")
    data_behind(rows, "data-toxicity")


def _movers(entry: RunEntry, prompts: pd.DataFrame) -> None:
    st.markdown("#### Prompts that moved most")
    order = np.argsort(-prompts["change"].abs().to_numpy(), kind="stable")[:20]
    config = {
        "change": st.column_config.NumberColumn("Change", format="%.3f", width="small"),
        BOTH_ANSWERS: answers_column(),
        "before": st.column_config.NumberColumn("Before", format="%.3f", width="small"),
        "after": st.column_config.NumberColumn("After", format="%.3f", width="small"),
        "prompt": st.column_config.TextColumn("Prompt", width="medium"),
        "base": st.column_config.TextColumn("Base model", width="medium"),
        "tuned": st.column_config.TextColumn("Tuned", width="medium"),
        "category": st.column_config.TextColumn("Category", width=100),
    }
    moved = prompts.iloc[order]
    links = [answers_address(st.context.url, entry.label, ("base", "tuned"), one) for one in moved["prompt_id"]]
    rows = moved.assign(**{BOTH_ANSWERS: links})[list(config)]
    alt = "The prompts that moved most, with both answers"
    st.dataframe(rows, hide_index=True, column_config=config, row_height=97, key="movers", alt=alt)
