"""The form of a new run on the Runs page: what it starts from, every setting, what is wrong, what it would take, the start."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.services.run_drafts import shortage
from dashboard.services.settings import read_settings
from rlhf_core.config import load_config
from rlhf_core.runs.estimate import Estimate
from tests.dashboard.conftest import Studio, said
from tests.dashboard.test_runs_page import ROOT, add_run, keys, press, working


def form(studio: Studio, start: str = "tiny.yaml") -> AppTest:
    return studio.open("Runs", view="New run", start=start)


def setting(app: AppTest, place: str, kind: str = "number_input", start: str = "tiny.yaml") -> Any:
    return next(one for one in app.get(kind) if one.key == f"launch-set-{start}-{place}")


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
