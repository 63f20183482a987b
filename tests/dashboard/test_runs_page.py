"""The Runs page: the list with each state's buttons, one run, and the form up to the start; no process is started here."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.services import launching
from dashboard.services.launching import RunRow, contention_words, failure_words, run_row, run_rows
from dashboard.services.run_drafts import shortage
from dashboard.services.settings import read_settings
from rlhf_core.config import load_config
from rlhf_core.data.io import write_json
from rlhf_core.runs import launch, standing
from rlhf_core.runs.directory import RunDirectory
from rlhf_core.runs.estimate import Estimate
from rlhf_core.runs.lineage import write_lineage
from tests.dashboard.conftest import Studio, said
from tests.unit.runs.test_lineage import ORIGIN

ROOT = Path(__file__).resolve().parents[2]
GONE = 2**22 + 1  # more than Linux gives to a process


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """What would be started: the arguments of `rlhf`; in its place a process sleeps under the name of one of ours."""
    asked: list[list[str]] = []
    made: list[subprocess.Popen[bytes]] = []

    def spawn(arguments: list[str], log: Path, folder: Path | None) -> subprocess.Popen[bytes]:
        asked.append(arguments)
        made.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "rlhf_core"]))
        return made[-1]

    monkeypatch.setattr(launch, "spawn", spawn)
    yield asked
    for process in made:
        process.kill()
        process.wait(10)


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
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take this process for an `rlhf` command."""
    monkeypatch.setattr(standing, "_is_ours", lambda words: True)


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


def form(studio: Studio, start: str = "tiny.yaml") -> AppTest:
    return studio.open("Runs", view="New run", start=start)


def setting(app: AppTest, place: str, kind: str = "number_input", start: str = "tiny.yaml") -> Any:
    return next(one for one in app.get(kind) if one.key == f"launch-set-{start}-{place}")


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


def test_a_form_untouched_starts_the_configuration_under_a_free_name(studio: Studio, spawned: list[list[str]]) -> None:
    add_run(studio, "tiny")
    app = form(studio)
    assert setting(app, "name", "text_input").value == "tiny-2"
    assert app.dataframe[0].value.to_numpy().tolist() == [["name", "tiny", "tiny-2"]]
    assert "1 difference from tiny.yaml" in said(app)
    command = app.code[0].value
    assert command == f"rlhf pipeline {ROOT}/configs/tiny.yaml --set name=tiny-2 --set run_root={studio.runs}"
    app = press(app, "launch-start")
    assert app.query_params["open"] == "tiny-2" and "starting" in said(app) and len(spawned) == 1
    wanted = load_config(ROOT / "configs" / "tiny.yaml", ["name=tiny-2", f"run_root={studio.runs}"])
    assert load_config(studio.runs / "tiny-2" / "config.yaml") == wanted


def test_changes_are_shown_as_overrides_before_the_start_and_can_be_undone(studio: Studio) -> None:
    app = form(studio)
    assert "Nothing differs from tiny.yaml" in said(app)
    setting(app, "ppo.kl_coef").set_value(0.1)
    app = setting(app, "policy.dtype", "selectbox").set_value("float32").run()
    rows = app.dataframe[0].value.to_numpy().tolist()
    assert rows == [["policy.dtype", "auto", "float32"], ["ppo.kl_coef", "0.05", "0.1"]]
    assert "--set policy.dtype=float32 --set ppo.kl_coef=0.1" in said(app)
    app = press(app, "launch-undo")
    assert "Nothing differs from tiny.yaml" in said(app) and setting(app, "ppo.kl_coef").value == 0.05


def test_every_other_setting_is_one_click_away_and_keeps_its_value_when_its_section_is_left(studio: Studio) -> None:
    app = form(studio)
    app = app.get("button_group")[1].set_value("ppo").run()
    assert "PPO against the reward model" in said(app) and "Guards" in said(app)
    app = setting(app, "ppo.guards.kl_budget").set_value(8.0).run()
    app = app.get("button_group")[1].set_value("data").run()
    assert not any("guards" in str(one.key) for one in app.number_input)
    assert app.dataframe[0].value.to_numpy().tolist() == [["ppo.guards.kl_budget", "null", "8.0"]]
    app = app.get("button_group")[1].set_value("ppo").run()
    assert setting(app, "ppo.guards.kl_budget").value == 8.0


def test_settings_are_found_by_part_of_their_meaning(studio: Studio) -> None:
    app = form(studio).text_input(key="setting").set_value("checkpoint").run()
    found = {str(one.key).rpartition("-")[2] for one in [*app.number_input, *app.toggle]}
    assert {"ppo.checkpoint_every", "sft.gradient_checkpointing"} <= found
    assert "settings found." in said(app)
    app = app.text_input(key="setting").set_value("kl_coef").run()
    assert "1 setting found, 1 of them above." in said(app)


def test_an_address_names_the_start_the_section_and_what_is_looked_for(studio: Studio) -> None:
    app = studio.open("Runs", view="New run", start="hh-rlhf.yaml", section="PPO")
    assert setting(app, "ppo.guards.kl_budget", start="hh-rlhf.yaml").value == 8.0
    app = studio.open("Runs", view="New run", start="tiny.yaml", setting="kl_budget")
    assert "1 setting found." in said(app) and setting(app, "ppo.guards.kl_budget").value is None


def test_a_section_that_may_be_null_is_switched_off_with_its_settings(studio: Studio) -> None:
    app = form(studio).get("button_group")[1].set_value("sft").run()
    assert any(str(one.key).endswith("sft.patience") for one in app.number_input)
    app = setting(app, "sft", "toggle").set_value(False).run()
    assert not any("sft." in str(one.key) for one in app.number_input)
    assert "sft would be base, for sft is null; leave it out" in app.error[0].value.replace("\\", "")
    assert "launch-start" not in keys(app)


def test_what_is_wrong_is_said_at_the_field_and_on_top_and_nothing_can_start(studio: Studio) -> None:
    app = setting(form(studio), "ppo.optim.lr").set_value(2.0).run()
    assert "ppo.optim.lr: Input should be less than 1 (found 2.0)" in app.error[0].value.replace("\\", "")
    assert any("less than 1" in one.value for one in app.markdown if one.value.startswith(":red["))
    assert "launch-start" not in keys(app) and not app.exception
    app = setting(app, "ppo.optim.lr").set_value(0.5).run()
    assert not app.error and "launch-start" in keys(app)
    assert not any(one.value.startswith(":red[:material/error") for one in app.markdown)


def test_a_taken_name_is_a_problem_of_the_name(studio: Studio) -> None:
    add_run(studio, "mine")
    app = setting(form(studio), "name", "text_input").set_value("mine").run()
    assert "resume that one, or choose another name, such as mine-2" in app.error[0].value.replace("\\", "")


def test_data_that_is_missing_is_said_before_the_start(studio: Studio) -> None:
    app = form(studio).get("button_group")[1].set_value("data").run()
    app = setting(app, "data.prompts", "text_input").set_value("/gone.jsonl").run()
    assert "/gone.jsonl: no such file" in said(app) and "launch-start" not in keys(app)


def test_a_run_s_own_configuration_can_be_started_from(studio: Studio) -> None:
    add_run(studio, "trial")
    app = press(studio.open("Runs", open="trial"), "runs-again")
    assert app.selectbox(key="start").value == "run: trial"
    assert setting(app, "name", "text_input", "run: trial").value == "trial-2"
    assert f"rlhf pipeline {studio.runs}/trial/config.yaml --set name=trial-2" in said(app)


def test_a_start_that_is_refused_keeps_the_form(studio: Studio, spawned: list[list[str]]) -> None:
    app = setting(form(studio), "ppo.iterations").set_value(7).run()
    (studio.runs / "tiny").mkdir()  # taken in the meantime
    app = press(app, "launch-start")
    assert "A run of this name is there already" in said(app) and not spawned
    assert setting(app, "ppo.iterations").value == 7


def test_other_runs_at_work_are_said_before_the_start(studio: Studio, ours: None) -> None:
    working(add_run(studio, "busy"))
    assert "busy is at work on this machine" in form(studio).warning[0].value.replace("\\", "")


def test_the_estimate_says_what_it_rests_on(studio: Studio) -> None:
    run = add_run(studio, "done", "complete")
    for stage in ("generate", "evaluate"):
        run.update_stage(stage, state="complete", seconds=2.0)
    app = form(studio)
    table = app.table[0].value
    assert table["Stage"].tolist() == ["SFT", "Reward model", "PPO", "Completions", "Evaluation"]
    assert set(table["Rests on"]) == {"1 earlier run on this machine"}
    assert table["Time"].tolist() == ["about 3 s", "about 3 s", "about 4 s", "about 2 s", "about 2 s"]
    assert "nothing is bought" in said(app) and "It takes about 14 s" in said(app)


def test_what_this_machine_lacks_is_said(studio: Studio) -> None:
    """More bytes than any machine has; and none at all."""
    assert shortage(read_settings(), Estimate((), 1, True, 1, False)) == ""
    said = shortage(
        replace(read_settings(), run_root=studio.root / "not" / "there"), Estimate((), 10**18, True, 10**18, False)
    )
    assert "of memory are free now, it may need 1000000000.0 GB; " in said and "of disk are free, it leaves" in said


def test_the_recorded_run_can_be_started_from(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its paths are relative to the project."""
    monkeypatch.setitem(os.environ, "RLHF_RECORDED_RUN", str(ROOT / "sample_data" / "recorded_run"))
    monkeypatch.chdir(ROOT)
    app = form(studio, "run: Recorded run")
    assert "launch-start" in keys(app) and not app.error and "It takes" in said(app)


def test_a_row_of_no_status_has_no_progress(studio: Studio) -> None:
    add_run(studio, "trial")
    row = run_row(read_settings(), "trial")
    assert row.progress == pytest.approx((1 + 1 + 0.25) / 5)
    assert RunRow(row.entry, "damaged", None).progress == 0.0 and not os.environ.get("RLHF_TEAM_URL")
