"""The report's drawings: where a number lies, by hand, and that no spike is lost."""

from __future__ import annotations

import json
import re

import pytest

from rlhf_core.report import figures
from rlhf_core.report.figures import BOTTOM, LEFT, RIGHT, SMALL, TOP, WIDE, Frame
from rlhf_core.report.pictures import CURVES, correlation
from rlhf_core.runs.metrics import REGISTRY


def tips(svg: str) -> list[list]:
    """What the points of a drawing say, as the page's script reads them."""
    found = re.search(r'data-tips="([^"]*)"', svg)
    assert found
    return json.loads(found[1].replace("&#34;", '"').replace("&amp;", "&"))


def test_track_places_by_hand():
    # On 0 … 4: 1 is a quarter, the interval 0 … 3 three quarters wide, the reference 2 in the middle.
    drawn = figures.track(1, 0, 3, (0, 4), 2)
    assert 'class="tick" style="left:50.00%"' in drawn
    assert 'class="band" style="left:0.00%;width:75.00%"' in drawn
    assert 'class="dot" style="left:25.00%"' in drawn
    assert "band" not in figures.track(1, None, None, (0, 4), 2)


def test_axis_holds_values_and_reference():
    # 1 … 3 with 0: width 3, 4% spare is 0.12.
    assert figures.axis_of([1.0, None, 3.0, float("inf")], 0.0) == pytest.approx((-0.12, 3.12))
    assert figures.axis_of([0.0], 0.0) == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        ((0.0, 1.0), [0.0, 0.5, 1.0]),  # a quarter is more than 0.2, so steps of a half
        ((-0.12, 3.12), [0.0, 1.0, 2.0, 3.0]),  # 0.81 is rounded up to 1
        ((0.0, 400.0), [0.0, 100.0, 200.0, 300.0, 400.0]),
        ((0.031, 0.069), [0.04, 0.05, 0.06]),  # 0.0095 is rounded up to 0.01
    ],
)
def test_ticks_are_round_and_inside(axis, expected):
    assert figures.ticks(axis) == pytest.approx(expected)


def test_a_frame_places_its_corners_and_middle_by_hand():
    frame = Frame((0.0, 10.0), (-1.0, 1.0))
    width, height = SMALL
    assert frame.at(0, -1) == (LEFT, height - BOTTOM) and frame.at(10, 1) == (width - RIGHT, TOP)
    assert frame.at(5, 0) == ((LEFT + width - RIGHT) / 2, (TOP + height - BOTTOM) / 2)
    assert frame.at(99, -99) == (width - RIGHT, height - BOTTOM)  # held inside


def test_gain_bars_by_hand():
    # +3 and −1 on −1 … 3: the zero line three quarters down; both bars end at the frame.
    drawn = figures.gain_bars([(3.0, "up"), (-1.0, "down")], "two")
    height = WIDE[1] - TOP - BOTTOM
    bars = re.findall(r'<rect class="(up|down)" x="[\d.]+" y="([\d.]+)" width="[\d.]+" height="([\d.]+)"/>', drawn)
    assert bars == [
        ("up", f"{TOP:.1f}", f"{0.75 * height:.1f}"),
        ("down", f"{TOP + 0.75 * height:.1f}", f"{height / 4:.1f}"),
    ]
    assert [text for _, _, text in tips(drawn)] == ["up", "down"]
    assert "nan" not in figures.gain_bars([(0.0, ""), (0.0, "")], "").lower()


def test_curves_keep_a_single_spike():
    rows = [{"step": n, "loss": 1.0 if n != 4321 else 9.0} for n in range(10_000)]
    points = figures.curve_points(rows, "loss")
    assert (4321.0, 9.0) in points and len(points) <= figures.MAX_POINTS
    assert figures.curve_points([{"step": 1}, {"step": 2, "loss": None}], "loss") == []


def test_every_point_of_a_curve_says_its_value():
    drawn = figures.line_chart([(0, 0.5), (10, 0.75)], [], None, "ppo", "share", "t")
    assert [text for _, _, text in tips(drawn)] == ["step 0: 50.0%", "step 10: 75.0%"]
    assert "nan" not in figures.line_chart([(5, 1)], [], (0.0, 10.0), "ppo", "nats", "t").lower()  # a single point


def test_healthy_band_is_cut_to_the_drawing():
    # 0 … 2 with 4% to spare is −0.08 … 2.08; healthy 1 … 10 is cut at the top: 1.08 of 2.16, a half.
    drawn = figures.line_chart([(0, 0), (10, 2)], [], (1.0, 10.0), "ppo", "nats", "t")
    found = re.search(r'class="healthy" x="42.0" y="([\d.]+)" width="[\d.]+" height="([\d.]+)"', drawn)
    assert found and (float(found[1]), float(found[2])) == (TOP, (SMALL[1] - TOP - BOTTOM) / 2)
    assert "healthy" not in figures.line_chart([(0, 0), (10, 2)], [], (5.0, 10.0), "ppo", "nats", "t")


def test_calibration_dots_by_hand():
    # 75% sure is the middle; 80% right is a fifth from the top; all pairs in one bin give the radius 1.5 + 9.
    drawn = figures.calibration_plot([{"confidence": 0.75, "accuracy": 0.8, "n": 7}], "t")
    middle, fifth = (LEFT + SMALL[0] - RIGHT) / 2, TOP + 0.2 * (SMALL[1] - TOP - BOTTOM)
    assert f'cx="{middle:.1f}" cy="{fifth:.1f}" r="10.5"' in drawn


def test_hostile_texts_stay_inside_their_attribute():
    drawn = figures.length_plot([(0.0, 1.0, '"><script>x</script>'), (1.0, 2.0, "b")], '"><img src=x>')
    assert "<script" not in drawn and "<img" not in drawn


def test_correlation_by_hand():
    # Of 0, 1, 2 and 0, 1, 5: deviations −1, 0, 1 and −2, −1, 3; 5/√(2·14).
    assert correlation([0, 1, 2], [0, 1, 5]) == pytest.approx(5 / 28**0.5)
    assert correlation([1, 1, 1], [0, 1, 2]) is None


def test_curves_use_registered_metrics_and_units():
    for _, metric, behind, _, unit in CURVES:
        assert REGISTRY[metric].unit.startswith(unit)
        assert behind is None or behind in REGISTRY
