"""Training: curves of every stage, several runs overlaid, and what the policy wrote along the way."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from dashboard.components.drift import drift_section, early_end
from dashboard.components.gate import current_settings
from dashboard.components.health import health_panel
from dashboard.components.look import current_palette, data_behind, page_heading, show_figure
from dashboard.components.reward_test import reward_test
from dashboard.components.runs import live, pick_more_runs, pick_run
from dashboard.components.states import empty_state, guarded
from dashboard.curve_chart import can_be_log, draw_curves
from dashboard.services import curves, wording
from dashboard.services.catalogue import STAGE_NAMES, RunEntry, newest_stage, shown_stages
from dashboard.services.configuration import differences
from dashboard.services.headline import status_sentence
from rlhf_core.runs.metrics import find_metric


def show() -> None:
    """Draw the page."""
    settings = current_settings()
    if (entry := pick_run(settings)) is None:
        return
    entries = pick_more_runs(settings, entry)
    live(lambda: _body(entries), settings, entry)


def _body(entries: list[RunEntry]) -> None:
    with guarded("The state of the run"):
        page_heading("Training", status_sentence(entries[0].reader.status()))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        stage = st.segmented_control(
            "Stage",
            shown_stages(entries),
            default=newest_stage(entries[0]),
            required=True,
            format_func=lambda name: STAGE_NAMES[name],
            key="stage",
        )
    if stage == "ppo":
        with guarded("How the run ended"):
            early_end(entries[0])
    with guarded("What stands out"):
        health_panel(entries[0], stage)
    with guarded(f"{STAGE_NAMES[stage]} curves"):
        _curves(entries, stage)
    if len(entries) > 1:
        with guarded("What differs in the configurations"):
            _configurations(entries)
    if stage == "reward":
        with guarded("The reward model's test"):
            reward_test(entries[0])
    if stage == "ppo":
        with guarded("Reward against drift"):
            drift_section(entries[0])
        with guarded("Completions through training"):
            _samples(entries[0])


@dataclass(frozen=True)
class Drawing:
    """How the curves of a stage are drawn."""

    weight: float
    axis: str
    log: bool


def _curves(entries: list[RunEntry], stage: str) -> None:
    groups = curves.logged(entries, stage)
    if not groups:
        empty_state(f"No {STAGE_NAMES[stage]} curves yet", "They appear here with the first logged step.")
        return
    drawing = _drawing(curves.axes(entries, stage), stage)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        group = st.segmented_control(
            "Curves", list(groups), default=next(iter(groups)), required=True, key=f"group-{stage}"
        )
        wanted = st.text_input(
            "Find",
            key="find",
            placeholder="kl, loss, ^eval",
            width=200,
            help="In all groups: part of a name, or a regular expression",
        )
    shown = curves.search(groups, wanted) if wanted else groups.get(group, next(iter(groups.values())))
    if not shown:
        empty_state("No curve has such a name", f"Nothing of {STAGE_NAMES[stage]} matches `{wording.plain(wanted)}`.")
    columns = st.columns(2, gap="medium")
    for place, metric in enumerate(shown):
        with columns[place % 2]:
            _curve(entries, stage, metric, drawing)
    _legend(entries, stage)
    data_behind(entries[0].reader.metrics(stage), f"data-{stage}", f"All {STAGE_NAMES[stage]} metrics of this run")


def _drawing(axes: list[str], stage: str) -> Drawing:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        weight = st.slider("Smoothing", 0.0, 0.95, 0.6, 0.05, key="smoothing", width=240)
        axis = st.segmented_control(
            "Over", axes, default=axes[0], required=True, format_func=curves.AXES.__getitem__, key=f"axis-{stage}"
        )
        log = st.toggle("Log scale", key="log")
    return Drawing(weight, axis, log)


def _curve(entries: list[RunEntry], stage: str, metric: str, drawing: Drawing) -> None:
    about = find_metric(metric)
    name = f"**{wording.plain(curves.label(metric))}** :small[:gray[{wording.plain(about.unit)}]]"
    st.markdown(name, help=wording.plain(curves.describe(metric)))
    series = curves.build_series(entries, stage, metric, drawing.weight, drawing.axis)
    log = drawing.log and can_be_log(series)
    over = curves.AXES[drawing.axis].lower()
    figure = draw_curves(
        series,
        current_palette(),
        healthy=about.healthy,
        mark=curves.MARKS.get(metric),
        events=curves.checkpoints(entries[0], stage, drawing.axis),
        x_title=over,
        log=log,
    )
    scale = ", log scale" if log else ""
    key = f"curve-{stage}-{metric}-{drawing.axis}{scale}"  # zoom is kept while the scales are the same
    show_figure(figure, key, f"{curves.label(metric)} in {about.unit} over training {over}{scale}")


def _legend(entries: list[RunEntry], stage: str) -> None:
    said = ["Held-out curves are not smoothed; others are faint where raw, strong where smoothed."]
    said.append("A log scale is left out where a height is 0 or below.")
    said.append("A green band is the range a good run usually stays in, a thin line is chance or zero.")
    if entries[0].reader.checkpoints(stage):
        said.append("Triangles are checkpoints.")
    damaged = entries[0].reader.damaged_lines(stage)
    if damaged:
        said.append(f"{wording.count(damaged, 'damaged line')} passed over.")
    st.caption(" ".join(said))


def _configurations(entries: list[RunEntry]) -> None:
    differing = differences(entries)
    if differing.empty:
        st.caption("These runs have the same configuration.")
    else:
        data_behind(differing, "data-configuration", f"Configuration: {wording.count(len(differing), 'difference')}")


def _samples(entry: RunEntry) -> None:
    st.markdown("#### Completions through training")
    samples = entry.reader.samples()
    if samples.empty:
        empty_state("No completions yet", "PPO writes answers to held-out prompts at every evaluation.")
        return
    prompts = samples.drop_duplicates("prompt_id").set_index("prompt_id")["prompt"]
    chosen = st.selectbox(
        "Held-out prompt",
        list(prompts.index),
        format_func=lambda key: " ".join(str(prompts[key]).split()),
        key="sample",
    )
    rows = samples.loc[samples["prompt_id"] == chosen, ["step", "score", "kl", "text"]].sort_values("step")
    _sample_table(rows)


def _sample_table(rows: pd.DataFrame) -> None:
    config = {
        "step": st.column_config.NumberColumn("Step", width="small"),
        "score": st.column_config.NumberColumn(
            "Score", format="%.2f", width="small", help="Reward model, reference SD"
        ),
        "kl": st.column_config.NumberColumn("KL, nats", format="%.1f", width="small"),
        "text": st.column_config.TextColumn("Completion", width="large"),
    }
    st.dataframe(rows, hide_index=True, column_config=config, row_height=72, key="samples")
