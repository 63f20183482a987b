"""The Compare page in the browser: find the worst prompt, read what differs, choose a phrase; shared by address; WCAG by axe."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from rlhf_core.data.io import write_jsonl
from rlhf_core.visible import visible
from tests.browser.conftest import Dashboard, served
from tests.browser.settling import settle
from tests.browser.test_judging_access import assert_accessible
from tests.hostile import HUGE, hostile_texts
from tests.run_factory import CONTENDERS, write_run
from tests.vote_factory import completion

pytestmark = pytest.mark.browser
ANSWERS = """wanted => JSON.stringify([...document.querySelectorAll(
    '[class*=st-key-compare-answer] [data-testid=stHtml] > div')].map(one => one.textContent)) === JSON.stringify(wanted)"""
"""Whether both answers are shown, letter by letter; what is drawn last may be the one before for a moment."""
HOSTILE = [one.text for one in hostile_texts(116) if one.family not in HUGE]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard on a run in which the tuned model begins nine answers of twelve alike."""
    with served(tmp_path_factory.mktemp("compare")) as dashboard:
        run = write_run(dashboard.root / "runs" / "demo")
        path = run / "completions" / "tuned.jsonl"
        answers = [json.loads(line) for line in path.read_text().splitlines()]
        for answer in answers[:9]:
            answer["text"] = f"Of course. {answer['text']}"
        write_jsonl(path, answers)
        dashboard.start()
        yield dashboard


def test_from_the_worst_prompt_to_a_phrase(page: Page, studio: Dashboard) -> None:
    page.goto(f"{studio.address}/compare")
    expect(
        page.get_by_text("The tuned model scores higher than the base model on 10 of 12 prompts, lower on 2.")
    ).to_be_visible()
    expect(page.get_by_text("Is a tomato a fruit or a vegetable?", exact=True).last).to_be_visible()  # it falls most
    expect(page.locator("ins")).to_contain_text("Of course")
    expect(page.locator("del")).to_contain_text("grows from the flower")
    settle(page)
    page.get_by_text("One text", exact=True).click()
    expect(page.get_by_text("Struck through: only in the base model’s answer.")).to_be_visible()

    settle(page)
    page.get_by_test_id("stMain").press("j")
    expect(page.get_by_text("2 of 12 in this order")).to_be_visible()
    expect(page).to_have_url(re.compile("compare-prompt=p12"))
    page.reload()
    expect(page.get_by_text("2 of 12 in this order")).to_be_visible()
    expect(page.get_by_text("Struck through: only in the base model’s answer.")).to_be_visible()

    choose_row(page, 3)
    expect(page.get_by_text("4 of 12 in this order")).to_be_visible()

    settle(page)
    page.get_by_text("Phrases", exact=True).click()
    expect(page.get_by_text("differ in how often they say")).to_be_visible()
    choose_row(page, 0)
    expect(page.get_by_text("9 of 12 prompts fit the filters.")).to_be_visible()
    expect(page.get_by_role("textbox", name="Phrase in an answer")).to_have_value("of course")
    expect(page).to_have_url(re.compile(r"compare-phrase=of(\+|%20)course"))
    page.reload()
    expect(page.get_by_text("9 of 12 prompts fit the filters.")).to_be_visible()


def test_the_rows_go_away_as_csv(page: Page, studio: Dashboard, tmp_path: Path) -> None:
    page.goto(f"{studio.address}/compare?compare-category=honest")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download 4 rows as CSV").click()
    waiting.value.save_as(tmp_path / "rows.csv")
    assert waiting.value.suggested_filename == "tuned-against-base.csv"
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 1 + 4


@pytest.mark.parametrize("view", ["Prompts", "Phrases", "Slices", "Length"])
def test_every_view_is_accessible(page: Page, studio: Dashboard, view: str) -> None:
    page.goto(f"{studio.address}/compare?compare-view={view}")
    page.get_by_role("radio", name=view, exact=True).wait_for()
    settle(page)
    assert_accessible(page, view)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")  # the last screen is 390 px wide


def test_hostile_answers_are_shown_letter_by_letter_and_run_nothing(page: Page, studio: Dashboard) -> None:
    run = write_run(studio.root / "runs" / "hostile")
    for shift, name in enumerate(CONTENDERS):
        rows = [completion(f"p{n:03d}", name, HOSTILE[n - shift], HOSTILE[n]) for n in range(len(HOSTILE))]
        write_jsonl(run / "completions" / f"{name}.jsonl", rows)
    (run / "evaluation" / "scores.json").unlink()
    went_wrong: list[str] = []
    page.on("request", lambda request: "192.0.2.1" in request.url and went_wrong.append(request.url))
    page.on("dialog", lambda dialog: (went_wrong.append(dialog.message), dialog.dismiss()))
    page.goto(f"{studio.address}/compare?run=hostile&compare-sort=Prompt")
    for n in range(0, 24):
        expect(page.get_by_text(f"{n + 1} of {len(HOSTILE)} in this order")).to_be_visible()
        page.wait_for_function(ANSWERS, arg=[visible(HOSTILE[n]), visible(HOSTILE[n - 2])])
        settle(page)
        page.get_by_role("button", name="Next").click()
    assert page.evaluate("window.ran") is None and went_wrong == []


def choose_row(page: Page, row: int) -> None:
    """Click the box at the left of a table's row; the table is a canvas, its header 35 px high, as is each row."""
    settle(page)
    table = page.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    settle(page)
    table.click(position={"x": 16, "y": 35 + 35 * row + 18})


def pick(page: Page, label: str, option: str) -> None:
    """Choose from a list by its label."""
    page.get_by_test_id("stSelectbox").filter(has_text=label).first.get_by_role("combobox").click()
    page.get_by_role("option", name=option, exact=True).click()
