"""A run whose curves were imported: on every page, beside ours, with every metric it has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dashboard.services import curve_names
from dashboard.services.catalogue import list_entries, shown_stages
from dashboard.services.settings import read_settings
from rlhf_core.report.exports import report_files
from rlhf_core.report.facts import build_facts
from rlhf_core.runs.importing import import_curves
from tests.dashboard.conftest import Studio, said

EVERY_PAGE = (
    *("Overview", "Training", "Toxicity", "Compare", "Judge", "Results", "Report"),
    *("Tasks", "Runs", "Playground"),
)
TABLE = "step,objective/kl,reward/len<b>*x*,val/other,progress/episodes,alarm/kl\n1,0.5,2,3,8,0\n2,0.75,4,5,16,1\n"


def add_imported(studio: Studio, text: str = TABLE, name: str = "theirs", stage: str | None = None) -> Path:
    table = studio.root / f"{name}.csv"
    table.write_text(text, encoding="utf-8")
    (path,) = import_curves(table, studio.runs / name, stage=stage).runs
    return path


@pytest.mark.parametrize(
    ("page", "stage"),
    [*((page, "ppo") for page in EVERY_PAGE)]
    + [(page, stage) for page in ("Overview", "Training", "Report") for stage in ("pretrain", "reward", "other")],
)
def test_no_page_breaks_on_an_imported_run(studio: Studio, page: str, stage: str) -> None:
    """Without a configuration, an environment or times, with each stage there is."""
    add_imported(studio, stage=stage)
    app = studio.open(page)
    assert not app.exception
    assert not app.error, said(app)


def test_it_says_where_it_is_from(studio: Studio) -> None:
    add_imported(studio)
    source = f"CSV, {studio.root.name}/theirs.csv"
    assert f"It was trained elsewhere: its curves were imported from {source}." in said(studio.open("Training"))
    app = studio.open("Overview")
    assert f"It was trained elsewhere: its curves were imported from {source}." in said(app)
    assert f"imported: {source}" in said(app)
    runs = studio.open("Runs")
    assert f"Trained elsewhere; its curves were imported from {source}." in said(runs)
    assert "PPO to step 2" in said(runs)
    assert not [button for button in runs.button if button.label in ("Resume", "Start", "Pause")]
    opened = studio.open("Runs", open="theirs")
    assert not [button for button in opened.button if button.label == "New run from this"]


def test_metrics_that_are_not_ours_stand_in_a_group_of_their_own(studio: Studio) -> None:
    add_imported(studio)
    (entry,) = list_entries(read_settings())
    groups = curve_names.logged([entry], "ppo")
    assert groups == {"Key curves": ["objective/kl"], "Other": ["reward/len<b>*x*", "val/other"]}
    assert curve_names.label("val/other") == "val/other"
    assert curve_names.describe("val/other") == (
        "Not one of this project's metrics: it stands as it was logged. Logged as val/other."
    )
    app = studio.open("Training")
    app.segmented_control(key="group-ppo").set_value("Other").run()
    assert not app.exception
    assert "**reward/len<b>*x*" in said(app)  # as text: its signs are escaped
    assert len([chart for chart in app.get("plotly_chart") if str(chart.key).startswith("curve-")]) == 2


def test_it_is_drawn_beside_a_run_of_ours(studio: Studio) -> None:
    studio.add_run()
    add_imported(studio)
    app = studio.open("Training", run="demo", compare="theirs", stage="ppo")
    assert not app.exception and not app.error
    assert "Of an imported run there is no configuration to compare." in said(app)
    drawn = next(chart for chart in app.get("plotly_chart") if "objective/kl" in str(chart.key))
    assert {"demo", "theirs"} <= {trace.get("name") for trace in json.loads(drawn.proto.spec)["data"]}


def test_other_training_is_a_stage_where_a_run_has_it(studio: Studio) -> None:
    studio.add_run()
    add_imported(studio, "step,loss\n1,2\n")
    theirs, ours = sorted(list_entries(read_settings()), key=lambda entry: entry.name == "demo")
    assert shown_stages([ours]) == ["sft", "reward", "ppo"]
    assert shown_stages([ours, theirs]) == ["sft", "reward", "ppo", "other"]
    app = studio.open("Training", run="theirs")
    assert "**Training loss**" in said(app)
    assert "Looked at" not in said(app)


def test_losses_logged_apart_from_the_rate_are_no_finding(studio: Studio) -> None:
    text = "step,train/loss,optim/lr\n" + "".join(f"{2 * n},0.5,\n{2 * n + 1},,0.1\n" for n in range(9))
    add_imported(studio, text, stage="sft")
    app = studio.open("Training")
    assert "The loss is not a number" not in said(app)
    assert "Nothing stands out in what was imported." in said(app)


@pytest.mark.parametrize(
    ("page", "what"),
    [
        *(("Overview", "compare"), ("Compare", "compare"), ("Judge", "judge"), ("Results", "judge")),
        *(("Toxicity", "score"), ("Playground", "ask")),
    ],
)
def test_where_only_answers_would_help_it_says_so_and_how_its_model_comes_in(
    studio: Studio, page: str, what: str
) -> None:
    add_imported(studio)
    text = said(studio.open(page))
    assert "**Only curves were imported**" in text and f"so there is nothing to {what}." in text
    assert "rlhf contender add runs/quickstart theirs --model FOLDER" in text
    assert not [line for line in text.splitlines() if line.startswith(("rlhf generate", "rlhf evaluate", "rlhf ppo"))]


def test_its_overview_shows_no_empty_figures(studio: Studio) -> None:
    add_imported(studio)
    app = studio.open("Overview")
    assert not app.metric and "Can I trust it?" not in said(app) and "PPO" in str(app.table[0].value)
    studio.add_run()
    assert studio.open("Overview", run="demo").metric


def test_its_report_says_that_there_are_curves_alone(studio: Studio) -> None:
    facts = build_facts(add_imported(studio))
    source = f"CSV, {studio.root.name}/theirs.csv"
    wanted = f"There is no result: of this run there are the training curves alone, imported from {source}."
    assert facts.verdict == wanted
    assert len(facts.missing) == 1 and "`rlhf contender add`" in facts.missing[0]
    files = report_files(facts)
    for name in ("report.md", "report.html"):
        text = files[name].decode()
        assert "imported curves" in text and "rlhf generate" not in text and "recorded run" not in text
