"""The `rlhf` command on what is there: answers, runs, comparisons and reports."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import build_task
from rlhf_core.runs.reader import RunReader
from tests.command import succeed
from tests.run_factory import write_run
from tests.vote_factory import judge

TINY = str(Path(__file__).resolve().parents[2] / "configs" / "tiny.yaml")


def test_an_empty_prompt_is_refused(fail) -> None:
    assert fail("generate", TINY, "--prompt", "  ") == "error: --prompt: the prompt is empty. Give it some text"


def test_generate_answers_a_prompt_with_what_is_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    settings = ["--set", f"run_root={tmp_path}"]
    first = succeed(capsys, "generate", TINY, *settings, "--prompt", "Why?")
    assert first.splitlines()[0] == "base" and "tuned" not in first  # nothing is trained yet
    assert succeed(capsys, "generate", TINY, *settings, "--prompt", "Why?") == first
    assert succeed(capsys, "generate", TINY, *settings, "--prompt", "Why?", "--seed", 1) != first


def test_runs_lists_states_and_an_empty_root_says_what_to_do(
    fail, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail("runs", "--run-root", tmp_path) == (
        f"error: {tmp_path}: no runs yet. `rlhf pipeline configs/quickstart.yaml` makes one"
    )
    write_run(tmp_path / "demo")
    row = succeed(capsys, "runs", "--run-root", tmp_path).splitlines()[-1]
    assert row.split() == ["demo"] + ["complete"] * 6  # the run and its five stages


def test_compare_prints_intervals_and_refuses_unknown_pairs(
    fail, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    run = write_run(tmp_path / "demo")
    text = succeed(capsys, "compare", run)
    assert "difference [95%]" in text and "reward model" in text and "base SD" in text
    assert "no such comparison (found ('base', 'gpt')). There are: [('base', 'sft')" in fail(
        "compare", run, "--contender", "gpt"
    )


def test_compare_prints_what_both_contenders_decline_in_a_test_of_refusals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    lines = succeed(capsys, "compare", write_run(tmp_path / "demo", refusals=True)).splitlines()
    declined = lines[next(n for n, line in enumerate(lines) if line.lstrip().startswith("prompts")) + 1 :]
    assert [" ".join(line.split()) for line in declined] == [
        "safe 50 base 4.0% [1.1, 13.5]",
        "unsafe 40 base 10.0% [4.0, 23.1]",
        "safe 50 tuned 16.0% [8.3, 28.5] +12.0 points [2.0, 22.0]",
        "unsafe 40 tuned 60.0% [44.6, 73.7] +50.0 points [34.0, 65.0]",
        "Phrases only.",
    ]
    assert "declined" not in succeed(capsys, "compare", write_run(tmp_path / "other"))


def test_markup_in_categories_is_printed_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rlhf_core.runs.reader import RunReader

    monkeypatch.setenv("COLUMNS", "200")
    run = write_run(tmp_path / "demo")
    path = run / "evaluation" / "comparisons.json"
    path.write_text(path.read_text().replace('"category": "honest"', '"category": "[/red]:smile:"'))
    assert RunReader(run).evaluation("comparisons")
    assert "[/red]:smile:" in succeed(capsys, "compare", run)


def test_report_writes_the_formats_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "demo")
    written = succeed(capsys, "report", run, "--out", tmp_path / "out", "--formats", "md,json").split()
    assert {Path(name).suffix for name in written} == {".md", ".json"}
    assert all(Path(name).is_file() for name in written)


def test_report_reads_votes_at_a_url(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, url = write_run(tmp_path / "demo"), f"sqlite:///{tmp_path}/elsewhere.db"
    reader = RunReader(run)
    with closing(VoteStore(url)) as store:
        task = store.ensure_task(
            build_task("demo", [reader.completions("base"), reader.completions("tuned")], "Choose.", 0)
        )
        judge(store, task)
    succeed(capsys, "report", run, "--votes", url, "--out", tmp_path / "out", "--formats", "md")
    assert (
        "50.0% [5.5, 94.5] of 1 vote" in (tmp_path / "out" / "report.md").read_text()
    )  # Wilson for one tie: ½ ± 0.445


def test_a_missing_run_is_named(fail, tmp_path: Path) -> None:
    expected = f"error: {tmp_path}/gone: no such run. `rlhf runs` lists the runs that are there"
    assert fail("report", tmp_path / "gone", "--out", tmp_path / "out") == expected
    assert fail("compare", tmp_path / "gone") == expected
