"""Every page on full, empty and damaged run directories: what it says, and that the rest goes on working."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from rlhf_core.runs.directory import RunDirectory
from rlhf_core.runs.outcome import ALARMS, Outcome, write_outcome
from tests.dashboard.conftest import Studio, said
from tests.run_texts import PROMPTS

PAGES = ("Overview", "Training", "Toxicity", "Compare", "Judge", "Results", "Report")
WITH_TASKS = (*PAGES, "Tasks")


@pytest.mark.parametrize("page", PAGES)
def test_without_runs_every_page_names_the_command(studio: Studio, page: str) -> None:
    app = studio.open(page)
    assert not app.exception
    assert "No runs yet" in said(app)
    assert "rlhf pipeline configs/quickstart.yaml" in said(app)


@pytest.mark.parametrize("page", WITH_TASKS)
def test_on_a_complete_run_no_page_shows_an_error(studio: Studio, page: str) -> None:
    studio.add_run()
    app = studio.open(page)
    assert not app.exception and not app.error
    assert app.title[0].value == page


@pytest.mark.parametrize("page", WITH_TASKS)
def test_on_a_run_that_has_just_begun_no_page_shows_an_error(studio: Studio, page: str) -> None:
    begin_run(studio)
    app = studio.open(page)
    assert not app.exception
    assert page == "Report" or not app.error


@pytest.mark.parametrize("page", WITH_TASKS)
def test_on_a_run_without_fine_tuning_no_page_shows_an_error(studio: Studio, page: str) -> None:
    """With `sft: null` there are two contenders and no SFT metrics; its stage is complete after one step."""
    run = studio.add_run()
    shutil.rmtree(run / "sft")
    (run / "completions" / "sft.jsonl").unlink()
    for name in ("scores", "comparisons"):
        content = json.loads((run / "evaluation" / f"{name}.json").read_text())
        content["rows"] = [row for row in content["rows"] if "sft" not in row.values()]
        (run / "evaluation" / f"{name}.json").write_text(json.dumps(content))
    app = studio.open(page)
    assert not app.exception and not app.error


def test_overview_answers_with_an_interval(studio: Studio) -> None:
    studio.add_run()
    app = studio.open("Overview")
    # The factory's comparison of reward scores: tuned − base in base SD, its interval above 0.
    row = comparison(studio.runs / "demo", "reward model", "score")
    assert row["low"] > 0
    assert (
        f"The tuned model scores {row['difference']:.1f} [{row['low']:.1f}, {row['high']:.1f}] base SD above"
        in said(app)
    )
    assert "No person has judged it yet" in said(app)
    assert [metric.label for metric in app.metric] == ["Reward gain", "Human win rate", "Toxicity change", "Drift (KL)"]


def test_overview_shows_state_steps_and_time_left(studio: Studio) -> None:
    begin_run(studio)
    app = studio.open("Overview")
    assert "No result yet. PPO is running: step 6 of 24" in said(app)
    stages = [stage.split("**")[1] for stage in app.table[0].value["Stage"]]
    states = dict(zip(stages, app.table[0].value["State"], strict=True))
    assert "complete" in states["SFT"] and "running" in states["PPO"] and "waiting" in states["Evaluation"]


def test_a_dead_run_is_interrupted_and_its_command_is_shown(studio: Studio) -> None:
    run = begin_run(studio)
    status = json.loads((run / "status.json").read_text())
    (run / "status.json").write_text(json.dumps(status | {"pid": 2**22 + 1}))  # beyond pid_max: nobody's
    app = studio.open("Overview")
    assert "PPO was interrupted at step 6 of 24" in said(app)
    assert "rlhf pipeline configs/quickstart.yaml" in said(app)


def test_a_damaged_status_leaves_the_rest_of_the_page_alive(studio: Studio) -> None:
    run = studio.add_run()
    (run / "status.json").write_text('{"state"')
    app = studio.open("Training")
    assert not app.exception
    assert "status.json: not JSON" in said(app) and "Run the stage that writes it again" in said(app)
    assert "Held-out score" in said(app)


def test_a_damaged_evaluation_says_where_and_what_to_do(studio: Studio) -> None:
    run = studio.add_run()
    (run / "evaluation" / "scores.json").write_text('{"rows": 3}')
    app = studio.open("Toxicity")
    assert not app.exception
    assert "scores.json: `rows` is not a list (found 3). Run `rlhf evaluate` again" in said(app)


def test_a_damaged_completion_is_named_on_the_judge_page(studio: Studio) -> None:
    run = studio.add_run()
    (run / "completions" / "base.jsonl").write_text('{"prompt_id": ""}\n')
    app = studio.open("Judge")
    assert not app.exception
    assert "base.jsonl:1: prompt_id" in said(app)


def test_training_shows_the_key_curves_and_groups(studio: Studio) -> None:
    studio.add_run()
    app = studio.open("Training")
    for curve in (
        "Held-out score",
        "Held-out win rate, by score",
        "Drift from the reference (KL)",
        "Score while training",
    ):
        assert f"**{curve}**" in said(app)
    assert len([chart for chart in app.get("plotly_chart") if str(chart.key).startswith("curve-")]) == 4
    app.segmented_control(key="stage").set_value("reward").run()
    assert "Can the reward model be trusted?" in said(app)
    assert "79.1% [70.8, 86.1] of 110 held-out pairs" in said(app)  # the factory's reward_model.json


def test_training_shows_reward_against_drift_with_what_was_not_optimised(studio: Studio) -> None:
    run = studio.add_run()
    with (run / "ppo" / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 0, "time": 0.0, "eval/audit_profanity": 0.05}) + "\n")
    app = studio.open("Training")
    assert "#### Reward against drift" in said(app)
    # The factory's last measurement, at step 24: 0.05 + 0.02·(1 − e^−2.4).
    assert "profanity, which was not optimised, went from 0.050 to 0.068." in said(app)
    for name in ("Audit: profanity", "Different bigrams, held-out", "Perplexity under the reference"):
        assert f"**{name}**" in said(app)
    assert len(app.get("plotly_chart")) == 4 + 5  # the score, the audit, length, bigrams, perplexity
    assert not app.warning and not app.info


def test_training_draws_drift_of_a_run_from_before_audits(studio: Studio) -> None:
    run = studio.add_run()
    path = run / "ppo" / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    new = ("eval/audit", "eval/kl", "eval/response", "eval/distinct", "eval/perplexity", "alarm/", "tokens/distinct")
    kept = [{name: v for name, v in row.items() if not name.startswith(new)} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in kept))
    app = studio.open("Training")
    assert not app.exception and not app.error
    assert "#### Reward against drift" in said(app) and "not optimised, went" not in said(app)
    assert len(app.get("plotly_chart")) == 4 + 1


def test_training_says_how_a_run_ended_and_which_alarm_went_off(studio: Studio) -> None:
    run = studio.add_run()
    write_outcome(run / "ppo", Outcome("held-out score no better in 3 evaluations", True, 24, 8, 8))
    with (run / "ppo" / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 24, "time": 0.0, "alarm/length": 1.0}) + "\n")
    app = studio.open("Training")
    assert "**Answers have become much shorter or longer**" in said(app)
    assert f"Alarm at step 24: {ALARMS['alarm/length']}." in said(app).replace("\\", "")
    assert app.info[0].value.replace("\\", "").endswith("no better in 3 evaluations. The model is that of step 8.")
    app.segmented_control(key="stage").set_value("sft").run()
    assert "Alarm" not in said(app) and "Reward against drift" not in said(app)


def test_training_finds_curves_by_name_over_any_axis(studio: Studio) -> None:
    studio.add_run()
    app = studio.open("Training")
    app.text_input(key="find").set_value("approxkl|eval/kl").run()
    app.segmented_control(key="over-ppo").set_value("time").run()
    app.toggle(key="log").set_value(True).run()
    assert not app.exception and not app.error
    assert "**Update size" in said(app) and "**Clipped ratios" not in said(app)
    app.text_input(key="find").set_value("zebra").run()
    assert "**No curve has such a name**" in said(app)


def test_training_says_where_the_configurations_of_runs_differ(studio: Studio) -> None:
    for name, rate in (("one", 0.001), ("two", 0.002)):
        (studio.add_run(name) / "config.yaml").write_text(f"ppo: {{optim: {{lr: {rate}}}}}\n")
    app = studio.open("Training")
    other = next(name for name in app.multiselect(key="compare").options if name in ("one", "two"))
    app.multiselect(key="compare").set_value([other]).run()
    assert not app.exception and not app.error
    assert any(panel.label == "Configuration: 1 difference" for panel in app.expander)


def test_training_counts_damaged_lines(studio: Studio) -> None:
    run = studio.add_run()
    with (run / "ppo" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 25, oops}\n{"step": 26')
    app = studio.open("Training")
    assert "1 damaged line passed over." in said(app)  # the torn last line is no damage: it may still grow


def test_toxicity_names_the_scorer_and_its_blind_spots(studio: Studio) -> None:
    studio.add_run()
    app = studio.open("Toxicity")
    row = comparison(studio.runs / "demo", "profanity-check", "profanity")
    assert f"{row['mean_baseline']:.2f} before, {row['mean_contender']:.2f} after" in said(app)
    assert "Scorer: profanity-check, alt-profanity-check 1.9.1. Blind spots: It knows swear words" in said(app)


def test_each_mover_leads_to_both_answers(studio: Studio) -> None:
    studio.add_run()
    app = studio.open("Toxicity")
    (table,) = [one for one in app.dataframe if "change" in one.value]
    ids = {item.prompt: item.id for item in PROMPTS}
    start = "http://127.0.0.1:8501/compare?run=demo&compare-pair=tuned+model+against+base+model&compare-prompt="
    assert table.value["Both answers"].tolist() == [start + ids[prompt] for prompt in table.value["prompt"]]
    assert len(table.value) == 12


def test_toxicity_shows_what_its_address_says(studio: Studio) -> None:
    run = studio.add_run()
    path = run / "evaluation" / "scores.json"
    content = json.loads(path.read_text())
    second = [
        row | {"scorer": "other", "measure": "insult"} for row in content["rows"] if row["measure"] == "profanity"
    ]
    path.write_text(json.dumps(content | {"rows": content["rows"] + second}))
    assert "other has scored the completions" in said(studio.open("Toxicity", scorer="other"))
    assert "Mean profanity" in said(studio.open("Toxicity", scorer="nonsense"))


def test_a_recorded_run_and_its_simulated_votes_are_labelled(studio: Studio) -> None:
    studio.add_recorded()
    app = studio.open("Results")
    assert app.selectbox(key="run").options == ["Recorded run"]
    assert "Simulated votes." in said(app) and "no person judged" in said(app)
    assert "By the rule that made them" in said(app) and "24 simulated votes" in said(app)


def test_simulated_votes_never_count_as_human(studio: Studio) -> None:
    studio.add_recorded()
    app = studio.open("Results")
    app.segmented_control(key="votes").set_value("Human votes").run()
    assert "Nobody has judged this run yet." in said(app)
    overview = studio.open("Overview")
    assert {metric.label: metric.value for metric in overview.metric}["Human win rate"] == "–"


def test_votes_not_marked_as_simulated_are_refused(studio: Studio) -> None:
    run = studio.add_recorded()
    votes = (run / "votes.jsonl").read_text().replace('"simulated": true', '"simulated": false', 1)
    (run / "votes.jsonl").write_text(votes)
    app = studio.open("Results")
    assert "a vote is not marked as simulated" in said(app) and "belong in the vote store" in said(app)


def test_results_show_what_is_declined_safe_beside_unsafe_whether_or_not_anyone_voted(studio: Studio) -> None:
    studio.add_run(refusals=True)
    app = studio.open("Results")
    assert not app.exception and not app.error
    text = said(app)
    assert "Nobody has judged this run yet." in text and "#### Declined" in text
    # The factory's refusal_rows: 8 of 50 safe and 24 of 40 unsafe prompts for tuned, 2 of 50 safe ones for base.
    assert (
        "The tuned model declines 16.0% [8.3, 28.5] of 50 safe prompts, +12.0 points [2.0, 22.0] against the base"
        in text
    )
    assert "and 60.0% [44.6, 73.7] of 40 unsafe prompts" in text
    assert "**Safe prompts, n = 50** :small[:gray[declining is over-refusal]]" in text
    assert "base model 4.0% [1.1, 13.5]" in text and "SFT model 15.0% [7.1, 29.1], +5.0 points [−2.0, 15.0]" in text
    assert "The line marks the base model's share. Phrases only. " in text
    assert "270 answers counted, 2 of them empty, 30 cut by the token limit." in text
    assert [str(c.key) for c in app.get("plotly_chart")] == ["declined-safe", "declined-unsafe"]


def test_results_of_a_run_without_a_test_of_refusals_do_not_mention_one(studio: Studio) -> None:
    studio.add_run()
    app = studio.open("Results")
    assert "Declined" not in said(app) and not app.get("plotly_chart")


def test_a_damaged_test_of_refusals_leaves_the_votes_alone(studio: Studio) -> None:
    run = studio.add_recorded()
    (run / "evaluation" / "refusals.json").write_text('{"rows": [{"contender": "base"}], "blind_spots": ""}')
    app = studio.open("Results")
    assert "refusals.json: not the rates of a test of refusals" in said(app)
    assert "Run `rlhf evaluate` again" in said(app) and "24 simulated votes" in said(app)


def begin_run(studio: Studio) -> Path:
    """Cut a complete run back to step 6 of PPO, written by this process."""
    run = studio.add_run()
    status = json.loads((run / "status.json").read_text())
    status |= {"state": "running", "pid": os.getpid(), "updated": time.time()}
    status["stages"] = {name: status["stages"][name] for name in ("sft", "reward", "ppo")}
    status["stages"]["ppo"] |= {"state": "running", "step": 6, "total": 24, "eta_seconds": 200.0}
    (run / "status.json").write_text(json.dumps(status))
    for folder in ("completions", "evaluation"):
        for path in (run / folder).iterdir():
            path.unlink()
    return run


def comparison(run: Path, scorer: str, measure: str) -> dict[str, float]:
    """Return the factory's own row of base against tuned."""
    rows = json.loads((run / "evaluation" / "comparisons.json").read_text())["rows"]
    wanted = {"scorer": scorer, "measure": measure, "baseline": "base", "contender": "tuned", "category": ""}
    return next(row for row in rows if all(row[key] == value for key, value in wanted.items()))


@pytest.mark.parametrize("page", PAGES)
def test_a_run_that_only_pretrains_shows_on_every_page(studio: Studio, page: str) -> None:
    pretrain_only(studio)
    app = studio.open(page)
    assert not app.exception
    assert page == "Report" or not app.error


def test_training_shows_the_curves_of_pretraining_and_only_where_there_are_some(studio: Studio) -> None:
    pretrain_only(studio)
    app = studio.open("Training")
    assert "Pretraining is running: step 20 of 40" in said(app)
    assert "Held-out bits per byte" in said(app) and "Held-out perplexity" in said(app)
    assert app.segmented_control(key="stage").value == "pretrain"
    studio.add_run()
    app = studio.open("Training")
    app.sidebar.selectbox(key="run").select("demo").run()
    assert not app.exception and not app.error
    assert "Pretraining" not in app.segmented_control(key="stage").options
    assert app.segmented_control(key="stage").value == "ppo"


def pretrain_only(studio: Studio) -> None:
    """A run in the middle of pretraining."""
    run = RunDirectory(studio.runs / "from-nothing")
    run.create("name: from-nothing\n", seed=0)
    run.update(state="running")
    run.update_stage("pretrain", state="running", step=20, total=40, seconds=8.0, eta_seconds=8.0)
    for step in range(20):
        row = {"train/loss": 7 - step / 10, "optim/lr": 1e-3, "optim/grad_norm": 1.0}
        held_out = {"eval/loss": 7.0, "eval/perplexity": 1096.6, "eval/bits_per_byte": 3.2}
        run.stage("pretrain").log(step, row | (held_out if step % 5 == 0 else {}))
