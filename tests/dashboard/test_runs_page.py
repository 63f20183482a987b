"""The Runs page: the list with each state's buttons, and one run; no process is started here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.services import launching
from dashboard.services.launching import RunRow, contention_words, failure_words, run_row, run_rows
from dashboard.services.settings import read_settings
from rlhf_core.config import load_config
from rlhf_core.data.io import write_json
from rlhf_core.runs import launch
from rlhf_core.runs.directory import RunDirectory
from rlhf_core.runs.lineage import write_lineage
from tests.dashboard.conftest import Studio, said
from tests.unit.runs.test_lineage import ORIGIN

ROOT = Path(__file__).resolve().parents[2]
GONE = 2**22 + 1  # more than Linux gives to a process


def add_run(studio: Studio, name: str, state: str = "interrupted", **ppo: Any) -> RunDirectory:
    """A run of the tiny model that got as far as PPO; no process writes it."""
    run = RunDirectory(studio.runs / name)
    run.create(load_config(ROOT / "configs" / "tiny.yaml", [f"name={name}", f"run_root={studio.runs}"]).to_yaml(), 0)
    for stage in ("sft", "reward"):
        run.update_stage(stage, state="complete", step=6, total=6, seconds=3.0)
    run.update_stage("ppo", **({"state": state, "step": 2, "total": 8, "seconds": 4.0} | ppo))
    put(run, state=state)
    return run


def put(run: RunDirectory, **fields: Any) -> None:
    """Write the status as a process that is gone left it."""
    write_json(run.path / "status.json", run.read_status() | {"pid": GONE} | fields)


def working(run: RunDirectory) -> None:
    """As if this process were the run's, which began some time ago."""
    run.update(state="running")
    run.update_stage("ppo", state="running", eta_seconds=11_150.0)


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes that were asked to stop, in order; they are not."""
    asked: list[int] = []
    monkeypatch.setattr(psutil.Process, "terminate", lambda process: asked.append(process.pid))
    return asked


def keys(app: AppTest) -> set[str]:
    return {str(button.key) for button in app.button}


def press(app: AppTest, key: str) -> AppTest:
    return app.button(key=key).click().run()


def test_without_runs_the_page_says_how_to_start_one(studio: Studio) -> None:
    app = studio.open("Runs")
    assert "Nothing was trained here yet." in said(app) and "rlhf pipeline configs/quickstart.yaml" in said(app)
    assert not app.exception


def pretend_damaged(run: RunDirectory) -> None:
    (run.path / "status.json").write_text("{")


def pretend_paused(run: RunDirectory) -> None:
    write_json(run.path / "pause.json", {"at": time.time(), "by": "Ana"})


def pretend_paused_after_a_step(run: RunDirectory) -> None:
    run.update_stage("ppo", state="paused")
    put(run, state="paused")


def pretend_pausing(run: RunDirectory) -> None:
    working(run)
    pretend_paused(run)


def pretend_ending(run: RunDirectory) -> None:
    """Everything is written; the process has yet to go."""
    pretend_pausing(run)
    run.update_stage("ppo", state="paused")
    run.update(state="paused")


def pretend_failed(run: RunDirectory) -> None:
    put(run, state="failed", message="the disk is full")


def pretend_new(run: RunDirectory) -> None:
    (run.path / "status.json").unlink()


STATES: dict[str, tuple[Callable[[RunDirectory], None], str, str]] = {
    "interrupted": (lambda run: None, "Resume", "Stopped in PPO at step 2 of 8, and not from here."),
    "paused": (pretend_paused, "Resume", "Paused by Ana in PPO at step 2 of 8. It goes on from its last checkpoint"),
    "pausing ": (pretend_ending, "", "Pausing in PPO at step 2 of 8, its process is ending; asked by Ana."),
    "paused ": (pretend_paused_after_a_step, "Resume", "Paused in PPO at step 2 of 8, which is kept. It goes on from"),
    "pausing": (pretend_pausing, "Stop now", "Pausing in PPO at step 2 of 8, finishing the step; asked by Ana."),
    "failed": (pretend_failed, "Try again", "the disk is full"),
    "complete": (lambda run: put(run, state="complete"), "", "Complete in 10 s."),
    "recorded": (lambda run: put(run, recorded=True), "", "Recorded earlier on another machine"),
    "not started": (pretend_new, "Start", "It has a configuration and was never started."),
    "cannot be read": (pretend_damaged, "", "not JSON"),
    "running": (working, "Pause", "At work."),
}
"""By badge; a space behind it tells two kinds apart."""


@pytest.mark.parametrize("badge", STATES)
def test_each_state_has_its_words_and_buttons(studio: Studio, ours: None, badge: str) -> None:
    change, button, words = STATES[badge]
    change(add_run(studio, "trial"))
    app = studio.open("Runs")
    assert words in said(app) and f" {badge.strip()}]" in said(app) and not app.exception
    assert [one.label for one in app.button if "-list-trial" in str(one.key)] == ([button] if button else [])
    app = press(app, "runs-open-trial")
    assert app.query_params["open"] == "trial" and app.title[0].value == "trial" and not app.exception
    assert [one.label for one in app.button if "-page-trial" in str(one.key)] == ([button] if button else [])
    assert ("runs-again" in keys(app)) == (badge != "cannot be read")
    assert "Stages" in said(app) or badge == "cannot be read"


def test_those_at_work_stand_first_and_say_that_they_contend(studio: Studio, ours: None) -> None:
    working(add_run(studio, "busy"))
    time.sleep(0.01)
    working(add_run(studio, "busier"))
    add_run(studio, "newest")
    rows = run_rows(read_settings())
    assert [row.entry.name for row in rows] == ["busier", "busy", "newest"]
    assert contention_words(rows) == (
        "busier and busy are at work on this machine: together they share its processor and memory, and each takes longer."
    )
    assert contention_words(rows, besides="busy").startswith("busier is at work")
    assert contention_words(rows[2:]) == ""
    app = studio.open("Runs")
    assert "2 of 3 runs at work." in said(app)
    assert app.get("progress")[0].proto.text.startswith("PPO: step 2 of 8, about 3 h 05 min left")
    assert "busier is at work" in said(studio.open("Runs", open="busy"))


def test_a_failed_run_says_why_and_shows_its_log(studio: Studio) -> None:
    run = add_run(studio, "trial", "failed")
    put(run, message="torch says no")
    app = studio.open("Runs", open="trial")
    assert "torch says no" in app.error[0].value
    launch.log_path(run.path).write_text("ppo: started\nerror: [data](x): no such file. Look there\n")
    write_json(run.path / "launch.json", {"pid": GONE, "at": time.time() + 1, "by": ""})
    row = run_row(read_settings(), "trial")
    assert failure_words(row) == "[data](x): no such file. Look there"
    assert "It failed: [data](x): no such file. Look there" in said(studio.open("Runs"))
    app = studio.open("Runs", open="trial")
    assert "\\[data\\]\\(x\\)" in app.error[0].value and "error: [data](x)" in app.code[0].value


def test_a_hostile_name_is_shown_letter_by_letter(studio: Studio) -> None:
    name = "<b>x*y*[z](a)$q$"
    add_run(studio, "trial").path.rename(studio.runs / name)
    app = studio.open("Runs")
    shown = next(one.value for one in app.markdown if "x" in one.value)
    assert "\\<b\\>x\\*y\\*\\[z\\]\\(a\\)\\$q\\$" in shown
    assert press(app, f"runs-open-{name}").title[0].value == name


def test_a_run_that_is_not_there_is_said_with_the_way_back(studio: Studio) -> None:
    app = studio.open("Runs", open="../trial")
    assert "no such run" in said(app) and "Choose one of the runs listed" in said(app)
    assert "Nothing was trained here yet." in said(press(app, "runs-back"))


def test_resuming_starts_the_run_s_own_configuration_once(studio: Studio, spawned: list[list[str]]) -> None:
    run = add_run(studio, "trial")
    app = press(studio.open("Runs", open="trial"), "runs-resume-page-trial")
    (arguments,) = spawned
    assert arguments[:3] == ["pipeline", "--fetch", str(run.path / "config.yaml")]
    assert "Its process has started and is loading." in said(app) and "runs-pause-page-trial" in keys(app)
    launching.resume(read_settings(), "trial")
    assert len(spawned) == 1


def test_pausing_what_has_ended_is_refused_and_told(studio: Studio, ours: None) -> None:
    run = add_run(studio, "trial")
    working(run)
    app = studio.open("Runs")
    put(run, state="interrupted")
    app = press(app, "runs-pause-list-trial")
    assert "no process is at work on this run" in said(app) and not app.exception


def test_a_pause_that_takes_too_long_is_hurried_by_another_button(
    studio: Studio, ours: None, signals: list[int]
) -> None:
    """A second click on Pause would have been a second signal, which gives the step up."""
    working(add_run(studio, "trial"))
    app = press(studio.open("Runs", open="trial"), "runs-pause-page-trial")
    assert "finishing the step" in said(app) and "runs-pause-page-trial" not in keys(app)
    launching.pause(read_settings(), "trial")
    assert len(signals) == 1
    app = press(app, "runs-stop-page-trial")
    assert len(signals) == 2 and not app.exception


def test_the_overview_of_a_paused_run_says_so_and_how_it_goes_on(studio: Studio) -> None:
    run = add_run(studio, "trial", "paused")
    write_json(run.path / "env.json", {"command": "rlhf pipeline mine.yaml", "started": 1.0})
    app = studio.open("Overview")
    assert "PPO was paused at step 2 of 8" in said(app) and "rlhf pipeline mine.yaml" in said(app)
    assert ":orange-badge[:material/pause: paused]" in app.table[0].value["State"].tolist()


def test_a_later_round_goes_on_with_its_own_command(studio: Studio, spawned: list[list[str]]) -> None:
    run = add_run(studio, "trial")
    write_lineage(run.path, ORIGIN)
    about = {"command": "rlhf round runs/first --simulated", "folder": str(studio.root), "started": 1.0}
    write_json(run.path / "env.json", about)
    app = press(studio.open("Runs", open="trial"), "runs-resume-page-trial")
    assert spawned == [["round", "runs/first", "--simulated"]]
    assert "Its process has started and is loading." in said(app)


def test_a_later_round_that_cannot_go_on_here_says_how_it_does(studio: Studio, spawned: list[list[str]]) -> None:
    run = add_run(studio, "trial")
    write_lineage(run.path, ORIGIN)
    write_json(run.path / "env.json", {"command": "rlhf round runs/first", "started": 1.0})
    app = press(studio.open("Runs", open="trial"), "runs-resume-page-trial")
    assert "Run `rlhf round runs/first` there" in said(app).replace("\\", "") and not spawned


def test_a_round_without_its_next_task_is_not_over(studio: Studio, spawned: list[list[str]]) -> None:
    """Its stages are complete; what `rlhf round` does after them was cut short."""
    run = add_run(studio, "trial", "complete")
    write_lineage(run.path, replace(ORIGIN, next_task=None))
    write_json(run.path / "env.json", {"command": "rlhf round a", "folder": str(studio.root), "started": 1.0})
    app = studio.open("Runs", open="trial")
    assert "Complete in 10 s; its test against votes and the next task are still to be made." in said(app)
    assert app.button(key="runs-resume-page-trial").label == "Finish the round"
    press(app, "runs-resume-page-trial")
    assert spawned == [["round", "a"]]
    write_lineage(run.path, replace(ORIGIN, next_task=3))
    assert "runs-resume-list-trial" not in keys(studio.open("Runs"))


def test_a_row_of_no_status_has_no_progress(studio: Studio) -> None:
    add_run(studio, "trial")
    row = run_row(read_settings(), "trial")
    assert row.progress == pytest.approx((1 + 1 + 0.25) / 5)
    assert RunRow(row.entry, "damaged", None).progress == 0.0 and not os.environ.get("RLHF_TEAM_URL")
