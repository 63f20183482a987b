"""The Results page's section on automatic judges: apart from people, with and without votes, of runs and of tasks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dashboard.services.access import NOBODY
from dashboard.services.auto_judges import auto_judges_of_task, numbers
from dashboard.services.catalogue import list_entries
from dashboard.services.settings import read_settings
from dashboard.services.voting import open_store, open_task
from rlhf_core.errors import AccessError
from rlhf_core.evaluation.auto_judge import pairs_of
from rlhf_core.report.auto_judges import folder_of_run, folder_of_task
from tests.auto_factory import write_verdicts
from tests.dashboard.conftest import Studio, said
from tests.dashboard.test_results import charts, fill, judge_all, open_results
from tests.unit.report.test_auto_judges import pairs
from tests.vote_factory import make_spec

TITLE = "#### Automatic judges (not people)"


def judge_task(studio: Studio, task: int, name: str = "one-judge") -> Path:
    """Write a judge's verdicts on all pairs of a task."""
    store = open_store(studio.votes)
    file = folder_of_task(studio.votes, task) / f"{name}.jsonl"
    write_verdicts(file, pairs_of(store.texts(task), store.task(task).contenders))
    return file


def test_a_task_shows_its_judges_apart_from_people(studio: Studio) -> None:
    """Twelve items, each kind of verdict twice: (6 + 1 + 1)/12 for the judge; people's 83.3% stays theirs (test_results)."""
    task = fill(studio, make_spec(12))
    before = said(open_results(studio, task))
    judge_task(studio, task)
    app = open_results(studio, task)
    text = said(app)
    assert TITLE not in before and TITLE in text and "no person: they are no votes" in text
    assert "one-judge does not settle it: the tuned model wins 66.7% [" in text
    assert "2 verdicts changed with the order and count as ties" in text
    assert "Against people: one-judge (verdict): the same choice as most people on " in text
    assert "People prefer the tuned model to the base model: it wins 83.3% [" in text
    assert {"auto-judges", "auto-judges-agreement"} <= set(charts(app))
    assert text.split(TITLE)[0] in before + text  # what stands before the section stood there without it


def test_without_votes_a_judge_is_shown_and_nobody_takes_it_for_people(studio: Studio) -> None:
    task = open_store(studio.votes).ensure_task(make_spec(6))
    judge_task(studio, task)
    app = open_results(studio, task)
    text = said(app)
    assert "Nobody has judged this task yet." in text and TITLE in text
    assert "No person has judged these pairs yet, so nothing is known of its agreement with people." in text
    assert charts(app) == ["auto-judges"]


def test_simulated_votes_are_no_people_to_agree_with(studio: Studio) -> None:
    task = fill(studio, make_spec(), simulated=True)
    judge_task(studio, task)
    assert "No person has judged these pairs yet" in said(open_results(studio, task))


def test_a_run_shows_its_judges_before_and_after_people_have_judged(studio: Studio) -> None:
    run = studio.add_run()
    write_verdicts(folder_of_run(run) / "one-judge.jsonl", pairs(run))
    app = studio.open("Results")
    assert not app.exception and TITLE in said(app) and "No person has judged these pairs yet" in said(app)
    assert "one-judge does not settle it" in said(app) and "Nobody has judged this run yet." in said(app)
    (entry,) = list_entries(read_settings())
    judge_all(open_store(studio.votes), open_task(read_settings(), entry))
    text = said(studio.open("Results"))
    assert "Against people: one-judge (verdict): the same choice as most people on" in text
    assert "No person has judged these pairs yet" not in text


def test_a_judges_name_is_shown_letter_by_letter(studio: Studio) -> None:
    task = open_store(studio.votes).ensure_task(make_spec(6))
    judge_task(studio, task, "**loud** :red[x]")
    app = open_results(studio, task)
    assert any(r"\*\*loud\*\* \:red\[x\]" in str(element.value) for element in app.markdown)


def test_a_damaged_file_is_said_in_its_own_section(studio: Studio) -> None:
    task = fill(studio, make_spec(12))
    judge_task(studio, task).write_text("{}\n")
    app = studio.open("Results", task=str(task))
    text = said(app)
    assert not app.exception and "People prefer the tuned model" in text
    assert "**The automatic judges cannot be shown.**" in text and "one-judge.jsonl:1: pair: Field required" in text


def test_verdicts_that_come_are_seen_and_the_table_has_every_number(studio: Studio) -> None:
    task = fill(studio, make_spec(6))
    judge_task(studio, task)
    settings = read_settings()
    (row,) = numbers(auto_judges_of_task(settings, task)).to_dict("records")
    assert {name: row[name] for name in ("items", "wins", "losses", "ties", "of these by order", "both bad")} == {
        "items": 6, "wins": 3, "losses": 1, "ties": 1, "of these by order": 1, "both bad": 1,
    }  # fmt: skip
    judge_task(studio, task, "another")
    assert [judge.name for judge in auto_judges_of_task(settings, task)] == ["another", "one-judge"]


def test_labellers_do_not_see_them(studio: Studio) -> None:
    from dataclasses import replace

    task = fill(studio, make_spec(6))
    with pytest.raises(AccessError):
        auto_judges_of_task(replace(read_settings(), visitor=NOBODY), task)


def test_the_rows_of_a_judge_with_a_long_name_are_told_apart_by_their_category(studio: Studio) -> None:
    run = studio.add_run()
    name = "a-judge-whose-name-is-longer-than-any-row"
    write_verdicts(folder_of_run(run) / f"{name}.jsonl", pairs(run))
    (entry,) = list_entries(read_settings())
    judge_all(open_store(studio.votes), open_task(read_settings(), entry))
    app = studio.open("Results")
    (figure,) = [one for one in app.get("plotly_chart") if one.key == "auto-judges-agreement"]
    rows = json.loads(figure.proto.spec)["layout"]["yaxis"]["ticktext"]
    assert len(rows) == len(set(rows)) == 4  # all, and each of three categories
    assert all(
        any(row.split(" (n")[0].endswith(f", {one}") for row in rows) for one in ("helpful", "honest", "harmless")
    )
    assert all(row.startswith("a-judge-whose-") for row in rows)
