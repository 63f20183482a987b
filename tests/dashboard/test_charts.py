"""Figures: what is drawn where, in which colour, and that a refresh keeps the view."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboard import charts, result_charts
from dashboard.components import pair_results
from dashboard.curve_chart import Axis, Guides, can_be_log, draw_curves
from dashboard.drift_chart import draw_drift
from dashboard.palette import DARK, LIGHT, Palette, translucent
from dashboard.services.curves import Series
from rlhf_core.evaluation.statistics import Estimate
from rlhf_core.report.judged import summarise
from tests.run_factory import vote_frame

ROOT = Path(__file__).resolve().parents[2]


def series(name: str, place: int, values: list[float]) -> Series:
    heights = np.array(values)
    return Series(name, place, np.arange(1, len(values) + 1), heights, heights)


def test_a_figure_keeps_zoom_and_legend_on_refresh() -> None:
    assert charts.new_figure(200).layout.uirevision == "keep"


def test_raw_lies_faint_behind_smooth_and_is_left_out_when_equal() -> None:
    raw, smooth = np.array([0.0, 2.0]), np.array([0.0, 1.0])
    one = Series("a", 0, np.array([1, 2]), raw, smooth)
    lines = draw_curves([one], LIGHT).data
    assert [line.line.color for line in lines] == [translucent(LIGHT.tuned, 0.2), LIGHT.tuned]
    assert len(draw_curves([series("a", 0, [0.0, 2.0])], LIGHT).data) == 1


def test_the_range_holds_lines_interval_and_mark() -> None:
    one = Series("a", 0, np.array([1]), np.array([0.6]), np.array([0.6]), np.array([0.55]), np.array([0.9]))
    low, high = draw_curves([one], LIGHT, guides=Guides(mark=0.5)).layout.yaxis.range
    assert low < 0.5 and high > 0.9


def test_up_to_three_runs_are_named_at_their_ends_apart() -> None:
    three = [series(name, place, [0.0, 1.0]) for place, name in enumerate("abc")]
    names = draw_curves(three, LIGHT).layout.annotations
    assert [name.text for name in names] == ["a", "b", "c"]
    assert np.diff([name.yshift for name in names]).tolist() == pytest.approx([15, 15])  # same end, pushed 15 px apart
    four = [series(name, place, [0.0, 1.0]) for place, name in enumerate("abcd")]
    assert not draw_curves(four, LIGHT).layout.annotations


def test_a_log_scale_holds_all_heights_and_is_for_positive_ones_alone() -> None:
    tall, flat = series("a", 0, [0.1, 100.0]), series("b", 1, [1.0, 1.0])
    figure = draw_curves([tall, flat], LIGHT, guides=Guides(mark=0.0), log=True)
    low, high = figure.layout.yaxis.range
    assert figure.layout.yaxis.type == "log" and low < -1 and high > 2 and not figure.layout.shapes  # no line at 0
    assert [name.y for name in figure.layout.annotations] == pytest.approx([2.0, 0.0])  # plotly wants exponents here
    assert can_be_log([tall, flat]) and not can_be_log([tall, series("c", 2, [0.0, 1.0])])


def test_what_is_cut_is_marked_at_the_edge_with_its_height() -> None:
    figure = draw_curves([series("a", 0, [0.0, 1.0, 900.0, -50.0])], LIGHT, bounds=(-5.0, 5.0))
    low, high = figure.layout.yaxis.range
    assert low < 0 < 1 < high < 5  # of what remains
    (marks,) = [trace for trace in figure.data if trace.mode == "markers"]
    assert list(marks.x) == [3, 4] and list(marks.customdata) == [900.0, -50.0]
    assert list(marks.y) == [high, low] and list(marks.marker.symbol) == ["triangle-up", "triangle-down"]


def test_curves_share_the_range_they_are_given() -> None:
    figure = draw_curves([series("a", 0, [0.0, 1.0])], LIGHT, axis=Axis("clock", (0.0, 9.0), dates=True))
    assert tuple(figure.layout.xaxis.range) == (0.0, 9.0) and figure.layout.xaxis.type == "date"


def test_the_chosen_run_is_drawn_on_top() -> None:
    lines = draw_curves([series("chosen", 0, [0.0, 1.0]), series("other", 1, [1.0, 0.0])], LIGHT).data
    assert [line.name for line in lines] == ["other", "chosen"]


def test_drift_is_drawn_over_the_root_of_the_kl_with_its_landmarks_named() -> None:
    frame = pd.DataFrame(
        {
            "step": [0, 4, 8],
            "kl": [0.0, 4.0, 9.0],
            "root_kl": [0.0, 2.0, 3.0],
            "score": [0.1, 1.2, 0.8],
            "a": [1, None, 2],
        }
    )
    line, rings = draw_drift(frame, "score", {4: "best", 8: "model"}, LIGHT, 3.0).data
    assert (list(line.x), list(line.y), line.line.color) == ([0, 2, 3], [0.1, 1.2, 0.8], LIGHT.tuned)
    assert (list(rings.x), list(rings.text)) == ([2, 3], ["best", "model"])
    assert list(rings.textposition) == ["top left", "bottom left"]  # it rises to 1.2, then falls to 0.8
    other, rings = draw_drift(frame, "a", {4: "best", 8: "model"}, LIGHT, 5.0).data
    assert (list(other.x), other.line.color, list(rings.text)) == ([0, 3], LIGHT.third, ["model"])


def test_the_outcome_bar_adds_up_and_keeps_the_colours() -> None:
    shares = {
        name: Estimate(value, 0.0, 1.0, 10, 10, "t")
        for name, value in (("contender", 0.5), ("tie", 0.2), ("both_bad", 0.05), ("baseline", 0.25))
    }
    names = {"contender": "tuned wins", "tie": "tie", "both_bad": "both bad", "baseline": "base wins"}
    bars = charts.outcome_bar(shares, names, {"contender": LIGHT.tuned, "baseline": LIGHT.base}, LIGHT).data
    assert sum(bar.x[0] for bar in bars) == pytest.approx(1.0)
    assert (bars[0].marker.color, bars[3].marker.color) == (LIGHT.tuned, LIGHT.base)
    assert [bar.text for bar in bars] == ["tuned wins<br>50%", "tie<br>20%", "", "base wins<br>25%"]  # 5% is too narrow


def test_the_matrix_writes_every_share_and_leaves_who_never_met_blank() -> None:
    table = pd.DataFrame([[np.nan, 0.25], [0.75, np.nan]], ["base", "tuned"], ["base", "tuned"])
    (drawn,) = result_charts.matrix(table, LIGHT).data
    assert [list(row) for row in drawn.text] == [["", "25%"], ["75%", ""]]
    assert (drawn.zmin, drawn.zmax, list(drawn.x), list(drawn.y)) == (0, 1, ["base", "tuned"], ["base", "tuned"])


def test_counts_are_shaded_by_their_share_of_the_row() -> None:
    table = pd.DataFrame([[3, 1], [0, 0]], ["a", "b"], ["a", "b"])
    (drawn,) = result_charts.counts(table, LIGHT).data
    assert drawn.z.tolist() == [[0.75, 0.25], [0, 0]] and [list(row) for row in drawn.text] == [["3", "1"], ["0", "0"]]


def test_the_stop_band_lies_between_its_ends_and_marks_where_it_settled() -> None:
    path = [(1, 0.1, 1.0), (2, 0.3, 0.9), (3, 0.6, 0.8)]
    figure = result_charts.stop_path(path, 3, LIGHT)
    high, low = figure.data
    assert (list(high.y), list(low.y), low.fill) == ([1.0, 0.9, 0.8], [0.1, 0.3, 0.6], "tonexty")
    assert [shape.x0 for shape in figure.layout.shapes if shape.x0 == shape.x1] == [3]
    assert [note.text for note in figure.layout.annotations] == ["settled at 3"]
    assert not result_charts.stop_path(path, None, LIGHT).layout.annotations


def test_intervals_reach_from_low_to_high() -> None:
    figure = charts.intervals(["x"], [(0.6, 0.5, 0.8)], LIGHT, reference=0.5, x_title="share", share=True)
    error = figure.data[0].error_x
    assert (error.array[0], error.arrayminus[0]) == pytest.approx((0.2, 0.1))
    assert tuple(figure.layout.xaxis.range) == (0, 1)
    near = charts.intervals(["x"], [(0.0, 0.0, 0.02)], LIGHT, reference=0.0, x_title="share", share=True, upper=0.1)
    assert tuple(near.layout.xaxis.range) == (0, 0.1)


def test_each_row_of_intervals_may_have_its_contenders_colour() -> None:
    rows = [(0.6, 0.5, 0.8), (0.1, 0.0, 0.2)]
    plain = charts.intervals(["x", "y"], rows, LIGHT, reference=0.5, x_title="share")
    assert [row.marker.color for row in plain.data] == [LIGHT.tuned, LIGHT.tuned]
    colours = [LIGHT.base, LIGHT.tuned]
    figure = charts.intervals(["x", "y"], rows, LIGHT, reference=0.5, x_title="share", colours=colours)
    assert [(row.y[0], row.x[0], row.marker.color) for row in figure.data] == [
        (0, 0.6, LIGHT.base), (1, 0.1, LIGHT.tuned),
    ]  # fmt: skip


def test_every_row_of_intervals_has_its_label_the_first_on_top() -> None:
    names = [f"row {n}" for n in range(40)]
    axis = charts.intervals(names, [(0.1, 0.0, 0.2)] * 40, LIGHT, reference=0.0, x_title="x").layout.yaxis
    assert axis.tickmode == "array" and list(axis.ticktext) == names and list(axis.tickvals) == list(range(40))
    assert axis.range[0] > 39 > 0 > axis.range[1]  # upside down


def test_rows_of_the_same_name_stay_apart() -> None:
    figure = charts.intervals(["x" * 80, "x" * 81], [(0.1, 0.0, 0.2)] * 2, LIGHT, reference=0.0, x_title="x")
    assert [row.y[0] for row in figure.data] == [0, 1] and set(figure.layout.yaxis.ticktext) == {"x" * 59 + "…"}


def test_a_name_is_escaped_once_in_its_label_and_its_hover() -> None:
    figure = charts.intervals(["R&D <b> %{x}"], [(0.1, 0.0, 0.2)], LIGHT, reference=0.0, x_title="x")
    shown = "R&amp;D &lt;b&gt; %\u200b{x}"
    assert list(figure.layout.yaxis.ticktext) == [shown] and figure.data[0].hovertemplate.startswith(f"{shown}: ")


def test_the_rates_of_the_results_page_keep_their_number_and_leave_escaping_to_the_figure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rates = {"R&D " + "of long names " * 5: Estimate(0.5, 0.4, 0.6, 1234, 9, "t")}
    drawn: list[tuple] = []
    monkeypatch.setattr(pair_results.charts, "intervals", lambda names, *_, **__: drawn.append(names))
    monkeypatch.setattr(pair_results, "show_figure", lambda *_: None)
    monkeypatch.setattr(pair_results, "current_palette", lambda: LIGHT)
    pair = summarise(vote_frame(), simulated=False)[0]
    pair_results._rates("Win rate", rates, pair, "key")
    ((name,),) = drawn
    assert name.startswith("R&D of long names") and name.endswith("… (n = 1,234)")


def test_slopes_mark_risers_and_draw_the_mean_last() -> None:
    prompts = pd.DataFrame({"before": [0.1, 0.5], "after": [0.3, 0.1], "prompt": ["<b>up</b>", "down"]})
    lines = charts.slopes(prompts, LIGHT).data
    assert [line.marker.color for line in lines[:2]] == [LIGHT.third, LIGHT.base]
    assert list(lines[-1].y) == pytest.approx([0.3, 0.2])  # (0.1 + 0.5)/2 and (0.3 + 0.1)/2
    assert "&lt;b&gt;" in lines[0].hovertemplate


def test_dots_of_equal_value_are_stacked() -> None:
    figure = charts.dot_rows({"base": np.array([0.1, 0.1, 0.9])}, [LIGHT.base], LIGHT, x_title="value")
    assert list(figure.data[0].y) == pytest.approx([0.0, 0.08, 0.0])


def test_reliability_leaves_out_empty_bins() -> None:
    bins = [{"confidence": 0.6, "accuracy": 0.5, "n": 4}, {"confidence": 0.9, "accuracy": 0.0, "n": 0}]
    assert list(charts.reliability(bins, LIGHT).data[1].x) == [0.6]


@pytest.mark.parametrize(("palette", "page"), [(LIGHT, "#ffffff"), (DARK, "#12171e")])
def test_every_line_colour_stands_out_from_the_page(palette: Palette, page: str) -> None:
    for colour in (palette.base, palette.tuned, palette.third, palette.fourth, palette.fifth):
        assert contrast(colour, page) >= 3.0  # WCAG 2.2, 1.4.11: graphical objects


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_selected_can_be_read_in_both_themes(scheme: str) -> None:
    """Streamlit writes what is selected, pressed or open in the primary colour, and keys at 60% of the text's; WCAG 2.2, 1.4.3."""
    theme = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"][scheme]
    channels = zip(*(re.findall("..", theme[name][1:]) for name in ("textColor", "backgroundColor")), strict=True)
    key = "#" + "".join(f"{round(0.6 * int(ink, 16) + 0.4 * int(page, 16)):02x}" for ink, page in channels)
    assert contrast(theme["primaryColor"], theme["backgroundColor"]) >= 4.5
    assert contrast(key, theme["backgroundColor"]) >= 4.5


def test_no_button_is_filled_with_the_primary_colour() -> None:
    """Streamlit writes white on it, and no colour can both carry white text and be text on the dark page."""
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "dashboard").rglob("*.py")]
    assert len(sources) > 20 and not [text for text in sources if 'type="primary"' in text]


def contrast(one: str, other: str) -> float:
    """Return the WCAG contrast ratio (L1 + 0.05)/(L2 + 0.05) of two `#rrggbb` colours."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    channels = [int(part, 16) / 255 for part in re.findall("..", colour[1:])]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))
