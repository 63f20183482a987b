"""Automatic judges in every format of the report: their verdicts in a section of their own, and people's figures untouched."""

from __future__ import annotations

import csv
import html
import io
import json
from pathlib import Path

import pytest

from rlhf_core.errors import DataError
from rlhf_core.evaluation.auto_judge import AutoJudged, Pair
from rlhf_core.evaluation.statistics import Estimate
from rlhf_core.report.auto_judges import auto_sentences, folder_of_run, folder_of_task
from rlhf_core.report.exports import report_files
from rlhf_core.report.facts import build_facts
from rlhf_core.report.parts import Facts
from rlhf_core.runs.reader import RunReader
from tests.auto_factory import write_verdicts
from tests.report_reader import pdf_text
from tests.run_factory import vote_frame, write_run

TITLE = "Automatic judges (not people)"


def pairs(run: Path) -> list[Pair]:
    """A run's base and tuned answers to each prompt."""
    base, tuned = (RunReader(run).completions(name) for name in ("base", "tuned"))
    return [
        Pair(old.prompt_id, old.prompt, old.category, "base", "tuned", (old.text, new.text))
        for old, new in zip(base, tuned, strict=True)
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "demo", votes="simulated")


@pytest.fixture(scope="module")
def judged(run: Path) -> tuple[Facts, Facts]:
    """The facts without a judge, and with one."""
    before = build_facts(run, vote_frame())
    write_verdicts(folder_of_run(run) / "one-judge.jsonl", pairs(run))
    return before, build_facts(run, vote_frame())


def test_what_a_judge_says_by_hand(judged: tuple[Facts, Facts]):
    """Twelve prompts, each of the six kinds twice: six wins, two lost, two swayed, two both bad: (6 + 1 + 1)/12."""
    (judge,) = judged[1].auto_judges
    (found,) = judge.judged
    assert found.win_rate and found.win_rate.value == pytest.approx(8 / 12) and found.swayed == 2 and judge.stale == 0
    assert {one.category for one in judge.people} == {"", "harmless", "helpful", "honest"}
    assert judge.people[0].items == 11 and judge.people[0].measure == "verdict"  # people split on the last


def test_nothing_else_in_the_report_knows_of_it(judged: tuple[Facts, Facts]):
    before, after = (facts.as_json() for facts in judged)
    assert before.pop("auto_judges") == [] and len(after.pop("auto_judges")) == 1
    for facts in (before, after):
        facts.pop("provenance")  # it says when it was made
    assert before == after


@pytest.mark.parametrize("name", ["report.html", "report.md", "report.pdf"])
def test_what_people_read_has_a_section_of_its_own(judged: tuple[Facts, Facts], name: str):
    for facts, there in zip(judged, (False, True), strict=True):
        content = report_files(facts)[name]
        text = pdf_text(content) if name.endswith(".pdf") else html.unescape(content.decode()).replace("\\", "")
        said = ("A language model gave these verdicts, no person", "one-judge does not settle it", "66.7% [")
        assert [one in " ".join(text.split()) for one in (TITLE, *said)] == [there] * 4, name


def test_what_machines_read_has_tables_of_their_own(judged: tuple[Facts, Facts]):
    files = report_files(judged[1])
    held = json.loads(files["report.json"])["auto_judges"][0]
    (row,) = csv.DictReader(io.StringIO(files["csv/auto_judges.csv"].decode("utf-8-sig")))
    assert float(row["win_rate"]) == held["judged"][0]["win_rate"]["value"] and row["swayed"] == "2"
    rows = list(csv.DictReader(io.StringIO(files["csv/auto_judges_against_people.csv"].decode("utf-8-sig"))))
    assert [float(one["agreement"]) for one in rows] == [one["agreement"]["value"] for one in held["people"]]
    assert "csv/auto_judges.csv" not in report_files(judged[0])


def test_a_damaged_file_of_verdicts_is_said(tmp_path: Path):
    run = write_run(tmp_path / "demo")
    file = folder_of_run(run) / "one.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text('{"pair": "x"}\n')
    with pytest.raises(DataError, match=r"one\.jsonl:1: prompt_id: Field required"):
        build_facts(run)


def test_where_verdicts_lie(tmp_path: Path):
    assert folder_of_task(str(tmp_path / "votes.db"), 3) == tmp_path / "auto_judge" / "task-3"
    assert folder_of_task("postgresql://me@host/votes", 3, tmp_path) == tmp_path / "auto_judge" / "task-3"


def share(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, low, high, 10, 10, "by hand")


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (share(0.8, 0.6, 0.9), "gpt prefers the tuned model to the base model: it wins 80.0% [60.0, 90.0] of 10 items"),
        (
            share(0.2, 0.1, 0.4),
            "gpt prefers the base model to the tuned model, which wins only 20.0% [10.0, 40.0] of 10 items",
        ),
        (
            share(0.5, 0.3, 0.7),
            "gpt does not settle it: the tuned model wins 50.0% [30.0, 70.0] of 10 items",
        ),
        (None, "gpt: no verdict on the tuned model against the base model."),
    ],
)
def test_who_is_preferred_is_said_only_where_the_interval_bears_it_out(rate: Estimate | None, said: str):
    outcomes = dict.fromkeys(("contender", "baseline", "tie", "both_bad"), 0)
    found = AutoJudged("base", "tuned", "overall", 10, 0, outcomes, 0, rate, None, None)
    (sentence,) = auto_sentences("gpt", found)
    assert sentence.startswith(said)


def test_another_criterion_is_named_and_all_that_was_left_open():
    outcomes = dict.fromkeys(("contender", "baseline", "tie", "both_bad"), 0)
    found = AutoJudged(
        "a", "b", "honest", 8, 2, outcomes, 3, share(0.8, 0.6, 0.9), share(0.6, 0.4, 0.8), share(0.7, 0.5, 0.8)
    )
    assert auto_sentences("gpt", found) == [
        "gpt (honest) prefers b to a: it wins 80.0% [60.0, 90.0] of 8 items, a tie or both bad counting half.",
        "With the answers in the other order it says the same of 60.0% [40.0, 80.0]; "
        "3 verdicts changed with the order and count as ties.",
        "Where it chose a side, that was the answer shown first in 70.0% [50.0, 80.0] of readings.",
        "Left out: 2 items without a verdict in the form asked for.",
    ]
