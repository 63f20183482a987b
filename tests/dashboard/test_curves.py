"""Training curves: their names and groups, what they lie over, seeds together, ranges, and what a chart receives of a long run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dashboard.services import curve_names, curves
from dashboard.services.catalogue import RunEntry, list_entries
from dashboard.services.configuration import differences, seed_groups
from dashboard.services.curves import Drawing, Series
from dashboard.services.settings import read_settings
from rlhf_core.runs.directory import StageDirectory
from rlhf_core.runs.metrics import REGISTRY
from rlhf_core.runs.outcome import ALARMS
from tests.dashboard.conftest import Studio


def entry_of(studio: Studio) -> RunEntry:
    studio.add_run()
    return list_entries(read_settings())[0]


def test_smoothing_is_a_debiased_average_of_the_past() -> None:
    # w = 0.5 on 1, 3, 5: y0 = 1; y1 = (3 + 0.5·1)/1.5 = 7/3; y2 = (5 + 0.5·3 + 0.25·1)/1.75 = 27/7.
    np.testing.assert_allclose(curves.smooth(np.array([1.0, 3.0, 5.0]), 0.5), [1, 7 / 3, 27 / 7])
    np.testing.assert_array_equal(curves.smooth(np.array([1.0, 3.0]), 0.0), [1, 3])


def test_every_metric_shown_is_in_the_registry_and_has_a_name() -> None:
    shown = {name for groups in curve_names.GROUPS.values() for metrics in groups.values() for name in metrics}
    assert shown <= REGISTRY.keys()
    assert shown <= curve_names.LABELS.keys()
    # Intervals are drawn around their metric, progress is the axis, alarms are sentences: everything else has a place.
    hidden = {"eval/win_rate_low", "eval/win_rate_high", "progress/step", "progress/episodes", *ALARMS}
    assert shown | hidden == set(REGISTRY)


def test_the_parts_of_a_reward_are_drawn_by_their_names(studio: Studio) -> None:
    """One family in the registry, as many curves as the configuration has sources; the spread of an ensemble is its own."""
    run = studio.add_run()
    row = {"objective/score_nothate": 0.5, "objective/score_disagreement": 0.1, "objective/score_unread": float("nan")}
    StageDirectory(run / "ppo").log(9, row)
    shown = curve_names.logged(list_entries(read_settings()), "ppo")["Reward"]
    assert shown[-2:] == ["objective/score_disagreement", "objective/score_nothate"]
    assert [curve_names.label(name) for name in shown[-2:]] == ["Disagreement between reward models", "Score: nothate"]
    assert "Mean of one source of ppo.rewards" in curve_names.describe(shown[-1])


def test_series_skip_rows_without_the_metric_and_leave_held_out_curves_raw(studio: Studio) -> None:
    entry = entry_of(studio)
    (series,) = curves.build_series([entry], "ppo", "eval/win_rate", Drawing(0.9))
    assert series.x.tolist() == [4, 8, 12, 16, 20, 24]  # the factory evaluates every fourth of 24 steps
    np.testing.assert_array_equal(series.raw, series.smooth)
    assert series.low is not None
    np.testing.assert_allclose(series.raw - series.low, 0.12)  # the factory's interval is ± 0.12
    assert curves.build_series([entry], "sft", "objective/kl", Drawing()) == []


def test_curves_lie_over_steps_episodes_or_minutes(studio: Studio) -> None:
    run = studio.add_run()
    (run / "ppo" / "metrics.jsonl").write_text("")
    rows = (
        {"eval/score": 0.0},
        {"objective/kl": 0.1, "progress/episodes": 32},
        {"objective/kl": 0.2, "progress/episodes": 64},
    )
    rows += ({"eval/score": 0.5},)
    with (run / "ppo" / "metrics.jsonl").open("w") as file:
        for step, minute, row in zip((0, 1, 2, 2), (0, 1, 3, 4), rows, strict=True):
            file.write(json.dumps({"step": step, "time": 1000.0 + 60 * minute} | row) + "\n")
    (entry,) = list_entries(read_settings())
    assert curves.axes([entry], "ppo") == ["step", "progress/episodes", "time", "clock"]
    placed = {
        axis: [
            curves.build_series([entry], "ppo", name, Drawing(axis=axis))[0].x.tolist()
            for name in ("objective/kl", "eval/score")
        ]
        for axis in ("step", "progress/episodes", "time")
    }
    assert placed == {"step": [[1, 2], [0, 2]], "progress/episodes": [[32, 64], [0, 64]], "time": [[1, 3], [0, 4]]}
    for step in (1, 2):
        (run / "ppo" / "checkpoints" / f"step-{step}").mkdir(parents=True, exist_ok=True)
    assert curves.checkpoints(entry, "ppo", "progress/episodes")[:2] == [32.0, 64.0]


def test_configurations_differ_setting_by_setting(studio: Studio) -> None:
    texts = (
        "name: a\nppo: {optim: {lr: 0.001}, rewards: [{kind: learned}]}\nsft: null\n",
        "name: a\nppo: {optim: {lr: 0.002}}\nsft: null\n",
    )
    for name, text in zip(("one", "two"), texts, strict=True):
        (studio.add_run(name) / "config.yaml").write_text(text)
    entries = sorted((e for e in list_entries(read_settings()) if not e.recorded), key=lambda e: e.label)
    assert differences(entries).to_dict("records") == [
        {"Setting": "ppo.optim.lr", "one": "0.001", "two": "0.002"},
        {"Setting": "ppo.rewards", "one": "[{'kind': 'learned'}]", "two": "–"},
    ]
    assert differences(entries[:1]).empty


def test_metrics_are_found_by_part_of_a_name_or_expression() -> None:
    groups = {"Key": ["eval/score", "objective/kl"], "All": ["objective/kl", "policy/approxkl", "loss/policy"]}
    assert curve_names.search(groups, "KL") == ["objective/kl", "policy/approxkl"]
    assert curve_names.search(groups, "^(eval|loss)/") == ["eval/score", "loss/policy"]
    assert curve_names.search(groups, "drift from") == ["objective/kl"]  # the name on the page
    assert curve_names.search(groups, "(a") == [
        "policy/approxkl"
    ]  # no expression: as it stands, in its name on the page
    assert curve_names.search(groups, "nothing") == []


def seeds_of(studio: Studio, heights: dict[str, list[float]]) -> list[RunEntry]:
    """Runs named by their seed, which log one metric at steps 1, 2, …; `other` has another learning rate too."""
    for seed, (name, values) in enumerate(heights.items()):
        run = studio.add_run(name)
        (run / "config.yaml").write_text(f"name: {name}\nseed: {seed}\nppo: {{lr: {2 if name == 'other' else 1}}}\n")
        rows = [{"step": n, "time": float(n), "objective/kl": v} for n, v in enumerate(values, 1)]
        (run / "ppo" / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    by_name = {entry.name: entry for entry in list_entries(read_settings())}
    return [by_name[name] for name in heights]


def test_runs_that_differ_in_their_seed_alone_are_one_line_with_their_spread(studio: Studio) -> None:
    entries = seeds_of(studio, {"a": [1.0, 2.0, 3.0], "other": [9.0], "b": [3.0, 6.0]})
    assert seed_groups(entries) == [[0, 2], [1]]
    together, alone = curves.build_series(entries, "ppo", "objective/kl", Drawing(seeds=True))
    assert (together.name, together.place, alone.name, alone.place) == ("a × 2", 0, "other", 1)
    # Both have steps 1 and 2: means 2 and 4; of two values the SD (n − 1) is their difference over √2.
    assert together.x.tolist() == [1, 2] and together.smooth.tolist() == [2, 4]
    assert together.high is not None and together.low is not None
    np.testing.assert_allclose(together.high - together.smooth, [2 / 2**0.5, 4 / 2**0.5])
    np.testing.assert_allclose(together.smooth - together.low, [2 / 2**0.5, 4 / 2**0.5])
    assert len(curves.build_series(entries, "ppo", "objective/kl", Drawing())) == 3


def test_runs_without_a_configuration_are_not_one(studio: Studio) -> None:
    entries = seeds_of(studio, {"a": [1.0], "b": [1.0]})
    for entry in entries:
        (entry.path / "config.yaml").unlink()
    assert seed_groups(entries) == [[0], [1]]


def test_a_range_keeps_the_points_beside_it_so_that_lines_reach_the_edges(studio: Studio) -> None:
    (entry,) = seeds_of(studio, {"a": [float(n) for n in range(10)]})
    (cut,) = curves.build_series([entry], "ppo", "objective/kl", Drawing(window=(3.5, 6.0)))
    assert cut.x.tolist() == [3, 4, 5, 6, 7]  # 4, 5 and 6 lie inside
    (whole,) = curves.build_series([entry], "ppo", "objective/kl", Drawing(0.5))
    (part,) = curves.build_series([entry], "ppo", "objective/kl", Drawing(0.5, window=(5.0, 6.0)))
    np.testing.assert_array_equal(part.smooth, whole.smooth[3:7])  # smoothed over all that came before
    assert curves.build_series([entry], "ppo", "objective/kl", Drawing(window=(100.0, 200.0))) == []


def test_a_line_that_crosses_a_range_without_a_point_in_it_is_shown(studio: Studio) -> None:
    (entry,) = seeds_of(studio, {"a": [float(n) for n in range(10)]})
    (crossing,) = curves.build_series([entry], "ppo", "objective/kl", Drawing(window=(3.2, 3.8)))
    assert crossing.x.tolist() == [3, 4]


def test_a_run_that_ended_before_the_range_is_left_out_of_it(studio: Studio) -> None:
    entries = seeds_of(studio, {"other": [1.0, 2.0], "a": [float(n) for n in range(10)]})
    (shown,) = curves.build_series(entries, "ppo", "objective/kl", Drawing(window=(5.0, 8.0)))
    assert (shown.name, shown.place) == ("a", 1)


def test_a_range_shows_all_points_where_the_whole_curve_is_thinned(studio: Studio) -> None:
    (entry,) = seeds_of(studio, {"a": np.random.default_rng(0).normal(size=20_000).tolist()})
    (whole,) = curves.build_series([entry], "ppo", "objective/kl", Drawing())
    (part,) = curves.build_series([entry], "ppo", "objective/kl", Drawing(window=(1000.0, 2000.0)))
    assert len(whole.x) <= curves.POINTS and len(part.x) == 1003


def test_tokens_add_up_and_the_clock_counts_milliseconds(studio: Studio) -> None:
    run = studio.add_run()
    rows = [
        {"step": 0, "time": 1000.0, "eval/loss": 2.0},
        {"step": 1, "time": 1060.0, "train/loss": 1.0, "tokens/batch": 500},
        {"step": 2, "time": 1120.0, "train/loss": 0.5, "tokens/batch": 300},
    ]
    (run / "sft" / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (entry,) = list_entries(read_settings())
    assert curves.axes([entry], "sft") == ["step", "tokens/batch", "time", "clock"]
    at = {
        axis: curves.build_series([entry], "sft", "train/loss", Drawing(axis=axis))[0].x.tolist()
        for axis in ("step", "tokens/batch", "time", "clock")
    }
    assert at == {"step": [1, 2], "tokens/batch": [500, 800], "time": [1, 2], "clock": [1060e3, 1120e3]}
    assert curves.reach([entry], "sft", "tokens/batch") == (-8.0, 808.0)  # a hundredth of 800 on either side


def test_outliers_are_what_lies_three_ranges_of_the_middle_away() -> None:
    def one(values: list[float]) -> Series:
        heights = np.array(values)
        return Series("a", 0, np.arange(float(len(values))), heights, heights)

    # 0 … 100: the middle 90% is 5 … 95, so the bounds are 5 − 270 and 95 + 270.
    calm = [float(n) for n in range(101)]
    assert curves.beyond([one(calm)]) is None
    assert curves.beyond([one([*calm, 1e6])]) == pytest.approx((-265.0, 365.0), abs=4)
    assert curves.beyond([one([1.0] * 50)]) is None and curves.beyond([one([1.0] * 50 + [2.0])]) is None


def test_every_one_step_spike_of_a_million_reaches_the_chart(tmp_path: Path) -> None:
    """200 spikes at random places, many of them closer together than one bucket of points that are drawn as one."""
    rng = np.random.default_rng(7)
    heights = np.cumsum(rng.normal(size=1_000_000)) / 100 + rng.normal(size=1_000_000)
    places = rng.choice(1_000_000, 200, replace=False)
    heights[places] += np.where(rng.random(200) < 0.5, -40.0, 40.0)
    (tmp_path / "long" / "ppo").mkdir(parents=True)
    (tmp_path / "long" / "status.json").write_text("{}")
    with (tmp_path / "long" / "ppo" / "metrics.jsonl").open("w") as file:
        file.writelines(f'{{"step": {n}, "time": {n}.0, "loss/value": {v}}}\n' for n, v in enumerate(heights))
    drawn = curves.build_series([RunEntry(tmp_path / "long")], "ppo", "loss/value", Drawing(0.9))[0]
    assert set(places) <= set(drawn.x.astype(int))
    assert len(drawn.x) <= curves.POINTS
