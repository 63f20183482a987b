"""What the pages ask for: wording, curves, votes, headline, report files."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from dashboard.services import wording
from dashboard.services.access import Visitor
from dashboard.services.catalogue import RunEntry, first_choice, list_entries, newest_stage
from dashboard.services.drift import view_drift
from dashboard.services.headline import build_headline
from dashboard.services.judged import Judged
from dashboard.services.refusals import RefusalView, view_refusals
from dashboard.services.reports import report_of, run_stamps
from dashboard.services.settings import SAMPLE_DATA, read_settings
from dashboard.services.toxicity import view_toxicity
from dashboard.services.voting import open_store, open_task
from rlhf_core.errors import AccessError, RunError
from rlhf_core.runs.outcome import Outcome, write_outcome
from tests.dashboard.conftest import Studio
from tests.run_factory import write_run


def entry_of(studio: Studio) -> RunEntry:
    studio.add_run()
    return list_entries(read_settings())[0]


def test_the_axis_of_refusals_ends_a_fifth_past_the_highest_interval_between_a_tenth_and_all(studio: Studio) -> None:
    run = studio.add_run(refusals=True)
    file = run / "evaluation" / "refusals.json"
    content = json.loads(file.read_text())
    for highest, upper in ((0.02, 0.1), (0.5, 0.6), (0.95, 1.0)):
        rows = [{**row, "declined": 0.0, "low": 0.0, "high": highest} for row in content["rows"]]
        file.write_text(json.dumps({**content, "rows": rows}))
        view = view_refusals(list_entries(read_settings())[0])
        assert isinstance(view, RefusalView) and view.upper == pytest.approx(upper)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.4, ""), (200.0, ", about 3 min 20 s left"), (7500.0, ", about 2 h 05 min left")],
)
def test_time_left_says_nothing_it_does_not_know(seconds: float | None, text: str) -> None:
    assert wording.time_left(seconds) == text


def test_ago_counts_seconds_then_days() -> None:
    assert wording.ago(1000.0, now=1075.0) == "1 min 15 s ago"
    assert wording.ago(0.0, now=3 * 86_400.0) == "3 days ago"
    assert wording.ago(None) == "at an unknown time"


def test_plain_disarms_markdown() -> None:
    assert wording.plain("a*b*[c](d) :red[e] $x$ <b>") == r"a\*b\*\[c\]\(d\) \:red\[e\] \$x\$ \<b\>"


def test_settings_come_from_the_environment_with_defaults() -> None:
    settings = read_settings({"RLHF_RUN_ROOT": "/x/runs"})
    assert settings.votes == "/x/runs/votes.db"
    assert settings.recorded_run == SAMPLE_DATA / "recorded_run"
    assert read_settings({"RLHF_VOTES": "sqlite:///y.db"}).votes == "sqlite:///y.db"


def test_drift_names_the_best_measurement_and_the_model(studio: Studio) -> None:
    entry = entry_of(studio)
    view = view_drift(entry)
    assert view is not None and view.measures[:2] == ("score", "eval/audit_profanity")
    # The factory's texts are the tuned model's from step 16 on, all of one score: the first of them is the best.
    assert view.marks == {16: "best", 24: "last"} and view.reach == pytest.approx(6.4**0.5)
    write_outcome(entry.path / "ppo", Outcome("enough", True, 24, 16, 16))
    ended = view_drift(entry)
    assert ended is not None and ended.marks == {16: "best, model"}


def test_headline_says_worse_and_unclear(studio: Studio) -> None:
    entry = entry_of(studio)
    path = entry.path / "evaluation" / "comparisons.json"
    content = json.loads(path.read_text())
    for low, high, text in ((-0.9, -0.3, "base SD below the base model"), (-0.3, 0.3, "the interval includes 0")):
        for row in content["rows"]:
            row |= {"difference": (low + high) / 2, "low": low, "high": high}
        path.write_text(json.dumps(content))
        assert text in build_headline(entry, Judged(None, None, None)).sentence


def test_headline_reads_the_checks(studio: Studio) -> None:
    checks = build_headline(entry_of(studio), Judged(None, None, None)).checks
    # The factory: accuracy from 70.8%, KL up to 7.7 nats, 2 of 12 prompts worse, more answers finished; nobody judged.
    assert [check.reading for check in checks] == ["holds"] * 4 + ["not measured"] * 2


def test_threshold_crossings_count_both_ways(studio: Studio) -> None:
    view = view_toxicity(entry_of(studio).reader, "profanity-check", "profanity")
    # The factory's base has two answers at 0.5 or more (0.97 and 0.71), tuned none.
    assert view.crossings == (2, 0)


def test_judging_needs_both_contenders(studio: Studio) -> None:
    entry = entry_of(studio)
    (entry.path / "completions" / "tuned.jsonl").unlink()
    with pytest.raises(RunError, match=r"completions of both contenders are needed\. `rlhf generate` writes them"):
        open_task(read_settings(), entry)


def test_recorded_runs_come_last_and_say_so(studio: Studio) -> None:
    studio.add_run()
    studio.add_recorded()
    assert [entry.label for entry in list_entries(read_settings())] == ["demo", "Recorded run"]


def test_a_run_with_a_result_is_shown_before_a_newer_one_without(studio: Studio) -> None:
    studio.add_run("new")
    (studio.runs / "new" / "evaluation" / "comparisons.json").unlink()
    assert first_choice([RunEntry(studio.runs / "new")]) == 0
    studio.add_run("old")
    assert first_choice([RunEntry(studio.runs / "new"), RunEntry(studio.runs / "old")]) == 1


def test_training_opens_at_the_latest_stage_with_curves(studio: Studio) -> None:
    entry = RunEntry(studio.add_run())
    assert newest_stage(entry) == "ppo"
    (entry.path / "ppo" / "metrics.jsonl").unlink()
    assert newest_stage(entry) == "reward"


def test_the_report_has_every_format(tmp_path: Path) -> None:
    run = write_run(tmp_path / "demo")
    report = report_of(read_settings({"RLHF_VOTES": str(tmp_path / "votes.db")}), RunEntry(run))
    assert report.html.lstrip().lower().startswith("<!doctype html>")
    assert json.loads(report.json)
    assert report.markdown.startswith("#") and report.card.startswith("---\n") and report.pdf.startswith(b"%PDF-")
    for tables, end in ((report.csv, ".csv"), (report.parquet, ".parquet")):
        with zipfile.ZipFile(io.BytesIO(tables)) as archive:
            assert archive.namelist() and all(name.endswith(end) for name in archive.namelist())


def test_a_report_is_built_once_for_the_same_files_and_votes(studio: Studio) -> None:
    entry, settings = RunEntry(studio.add_run()), read_settings()
    task = open_task(settings, entry)
    first = report_of(settings, entry)
    assert report_of(settings, entry) is first
    item = open_store(settings.votes).next_item(task, "ana")
    assert item is not None
    open_store(settings.votes).vote(item.token, "a", reading_seconds=1)
    judged = report_of(settings, entry)
    assert judged is not first and "of 1 vote" in judged.markdown and "of 1 vote" not in first.markdown
    before = run_stamps(entry.path)
    (entry.path / "evaluation" / "comparisons.json").unlink()
    assert run_stamps(entry.path) != before and "No comparison of contenders" in report_of(settings, entry).markdown


def test_a_labeller_gets_no_report(studio: Studio) -> None:
    labeller = replace(read_settings(), visitor=Visitor("ana", "labeller"))
    with pytest.raises(AccessError):
        report_of(labeller, RunEntry(studio.add_run()))
