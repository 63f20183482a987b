"""The curves of a stage: which, over what, which part of it, how smooth. Owns the keys `group-…`, `find`, `smoothing`, `over-…`,
`range-…`, `log`, `clip`, `seeds` and `curve-…`; all but the last stand in the address."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from dashboard.components.hover import hover_together
from dashboard.components.look import current_palette, data_behind, in_pairs, show_figure
from dashboard.components.states import empty_state
from dashboard.curve_chart import Axis, Guides, can_be_log, draw_curves
from dashboard.services import curve_names, curves, window, wording
from dashboard.services.catalogue import STAGE_NAMES, RunEntry
from dashboard.services.configuration import seed_groups
from dashboard.services.curves import Drawing
from rlhf_core.errors import ConfigError

URL = "query-params"


@dataclass(frozen=True)
class Choices:
    """What the visitor chose: the series, the heights, and where a range drawn with the mouse goes."""

    drawing: Drawing
    log: bool
    clip: bool
    range_key: str


def curves_panel(entries: list[RunEntry], stage: str) -> None:
    """Show the curves of a stage with what chooses them."""
    groups = curve_names.logged(entries, stage)
    if not groups:
        empty_state(f"No {STAGE_NAMES[stage]} curves yet", "They appear here with the first logged step.")
        return
    choices = _choose_drawing(entries, stage)
    shown = _choose_curves(groups, stage)
    reach = choices.drawing.window or curves.reach(entries, stage, choices.drawing.axis)
    for metric, place in in_pairs(shown):
        with place:
            _curve(entries, stage, metric, choices, reach)
    hover_together()
    _legend(entries, stage, choices)
    data_behind(entries[0].reader.metrics(stage), f"data-{stage}", f"All {STAGE_NAMES[stage]} metrics of this run")


def _choose_drawing(entries: list[RunEntry], stage: str) -> Choices:
    axes = curves.axes(entries, stage)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        weight = st.slider("Smoothing", 0.0, 0.95, 0.6, 0.05, key="smoothing", width=200, bind=URL)
        axis = st.segmented_control(
            *("Over", axes),
            default=axes[0],
            required=True,
            format_func=curves.AXES.__getitem__,
            key=f"over-{stage}",
            bind=URL,
        )
        range_key = f"range-{stage}-{axis.rpartition('/')[2]}"
        wanted = st.text_input(
            "Range",
            key=range_key,
            placeholder="All; drag across a curve",
            width=220,
            bind=URL,
            help="The part of the axis to show, in all curves and in full detail, such as 1200–3400. Empty it to see everything.",
        )
        log = st.toggle("Log scale", key="log", bind=URL)
        clip = st.toggle("Cut outliers", key="clip", bind=URL, help="Triangles at the edge mark what is cut.")
        several = len(seed_groups(entries)) < len(entries)
        seeds = several and st.toggle(
            "Seeds as one", key="seeds", bind=URL, help="Runs that differ in their seed alone: their mean ± one SD"
        )
    return Choices(Drawing(weight, axis, _window(wanted, axis), seeds), log, clip, range_key)


def _window(wanted: str, axis: str) -> window.Window | None:
    try:
        return window.read_window(wanted, axis)
    except ConfigError as error:
        st.caption(f":material/error: {wording.plain(str(error))}")
        return None


def _choose_curves(groups: dict[str, list[str]], stage: str) -> list[str]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        group = st.segmented_control(
            "Curves", list(groups), default=next(iter(groups)), required=True, key=f"group-{stage}", bind=URL
        )
        wanted = st.text_input(
            "Find",
            key="find",
            placeholder="kl, loss, ^eval",
            width=200,
            bind=URL,
            help="In all groups: part of a name, or a regular expression",
        )
    shown = curve_names.search(groups, wanted) if wanted else groups.get(group, next(iter(groups.values())))
    if not shown:
        empty_state("No curve has such a name", f"Nothing of {STAGE_NAMES[stage]} matches `{wording.plain(wanted)}`.")
    return shown


def _curve(entries: list[RunEntry], stage: str, metric: str, choices: Choices, reach: window.Window) -> None:
    about, drawing = curve_names.about(metric), choices.drawing
    unit = f" :small[:gray[{wording.plain(about.unit)}]]" if about.unit else ""
    st.markdown(
        f"**{wording.plain(curve_names.label(metric))}**{unit}", help=wording.plain(curve_names.describe(metric))
    )
    series = curves.build_series(entries, stage, metric, drawing)
    if not series:
        st.caption("Nothing was logged in this range.")
        return
    log = choices.log and can_be_log(series)
    over = curves.axis_title(drawing.axis)
    figure = draw_curves(
        series,
        current_palette(),
        guides=Guides(
            about.healthy, curve_names.MARKS.get(metric), curves.checkpoints(entries[0], stage, drawing.axis)
        ),
        axis=Axis(over, reach, dates=drawing.axis == curves.CLOCK),
        log=log,
        bounds=curves.beyond(series) if choices.clip else None,
    )
    scale = ", log scale" if log else ""
    heights = f"{curve_names.label(metric)} in {about.unit}" if about.unit else curve_names.label(metric)
    alt = f"{heights} over training {over}{scale}"
    key = f"curve-{stage}-{metric}-{drawing.axis}-{drawing.window}{scale}"  # another figure once the scales are others
    show_figure(figure, key, alt, on_select=lambda: _zoom(key, choices))


def _zoom(key: str, choices: Choices) -> None:
    """Show in all curves the range that was drawn across one of them."""
    boxes = st.session_state[key]["selection"]["box"]
    if boxes:
        first, last = sorted(_place(at) for at in boxes[0]["x"])
        st.session_state[choices.range_key] = window.write_window((first, last), choices.drawing.axis)


def _place(at: float | str) -> float:
    """A place on an axis; charts write those on the clock as text."""
    return window.on_the_clock(at) if isinstance(at, str) else float(at)


def _legend(entries: list[RunEntry], stage: str, choices: Choices) -> None:
    said = ["Held-out curves are not smoothed; others are faint where raw, strong where smoothed."]
    if choices.log:
        said.append("A log scale is left out where a height is 0 or below.")
    if choices.clip:
        said.append("Cut: what lies more than three times the range of the middle 90% away from it.")
    if choices.drawing.seeds:
        said.append("Runs that differ in their seed alone are drawn as their mean, with one SD (n − 1) around it.")
    said.append("A green band is the range a good run usually stays in, a thin line is chance or zero.")
    if entries[0].reader.checkpoints(stage):
        said.append("Triangles below are checkpoints.")
    damaged = entries[0].reader.damaged_lines(stage)
    if damaged:
        said.append(f"{wording.count(damaged, 'damaged line')} passed over.")
    st.caption(" ".join(said))
