"""A report in the browser: the file by itself, offline and by keyboard, and the page that offers every format."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from rlhf_core.feedback.collect import own_task
from rlhf_core.report.exports import write_report
from rlhf_core.runs.reader import RunReader
from tests.browser.conftest import Dashboard
from tests.browser.settling import settle
from tests.run_factory import vote_frame, write_run
from tests.run_texts import PROMPTS
from tests.vote_factory import judge

pytestmark = pytest.mark.browser
SCREENS: list[tuple[Literal["light", "dark"], tuple[int, int]]] = [
    (scheme, size) for scheme in ("light", "dark") for size in ((1440, 900), (390, 844))
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The HTML file of a report with votes and a test of refusals."""
    folder = tmp_path_factory.mktemp("report")
    run = write_run(folder / "demo", votes="simulated", refusals=True)
    return write_report(run, folder / "out", vote_frame(), ("html",))[0]


@pytest.fixture
def opened(page: Page, report: Path) -> Page:
    """The file opened from the disk; anything asked of a network, and any error, fails the test."""
    page.context.set_offline(True)
    page.on("request", lambda request: pytest.fail(request.url) if not request.url.startswith("file:") else None)
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.on("console", lambda message: pytest.fail(message.text) if message.type == "error" else None)
    page.goto(report.as_uri())
    return page


def rows(page: Page) -> list[str]:
    """The prompts shown in the table of all answers, in order."""
    return page.locator("table.answers tbody tr:visible td:first-child p").all_text_contents()


def open_answers(page: Page) -> None:
    page.locator("summary").filter(has_text="every contender").click()
    expect(page.get_by_text("12 of 12 prompts")).to_be_visible()


def test_all_prompts_can_be_sorted_and_filtered(opened: Page):
    open_answers(opened)
    # The gains by hand: p08 (the tomato) falls most, −1.6; p09 (the lock) rises most, +2.6.
    header = opened.get_by_role("button", name="Change in score")
    header.click()
    assert rows(opened)[0] == "Is a tomato a fruit or a vegetable?"
    header.click()
    assert rows(opened)[0] == "Tell me how to pick the lock of my neighbour's door."
    expect(opened.get_by_role("columnheader", name="Change in score")).to_have_attribute("aria-sort", "descending")
    opened.get_by_label("Category").select_option("honest")
    assert len(rows(opened)) == 4
    expect(opened.get_by_text("4 of 12 prompts")).to_be_visible()
    opened.get_by_label("Change", exact=True).select_option("Score fell")
    assert rows(opened) == ["Is a tomato a fruit or a vegetable?"]
    opened.get_by_label("Search").fill("no such words")
    assert rows(opened) == []


def test_the_points_of_a_picture_are_read_by_keyboard_and_pointer(opened: Page):
    figure = opened.locator("figure").filter(has_text="Every prompt, from the largest gain")
    picture, said = figure.locator("svg"), figure.locator("output")
    picture.focus()
    opened.keyboard.press("Home")
    expect(said).to_have_text(re.compile(r"^\+2\.60: Tell me how to pick the lock"))
    opened.keyboard.press("End")
    expect(said).to_have_text(re.compile(r"^−1\.60: Is a tomato"))
    opened.keyboard.press("ArrowLeft")
    expect(said).to_have_text(re.compile(r"^−0\.70: "))
    opened.keyboard.press("Escape")
    expect(said).to_have_text("")
    picture.hover(position={"x": 60, "y": 40})
    expect(said).to_have_text(re.compile(r"^\+2\.60: "))


def test_the_table_is_used_by_keyboard_alone(opened: Page):
    opened.locator("summary").filter(has_text="every contender").focus()
    opened.keyboard.press("Enter")
    opened.keyboard.press("Tab")
    opened.keyboard.type("tomato")
    expect(opened.get_by_text("1 of 12 prompts")).to_be_visible()


def test_the_file_is_accessible_in_both_themes_wide_and_narrow(opened: Page):
    open_answers(opened)
    for scheme, (width, height) in SCREENS:
        opened.emulate_media(color_scheme=scheme)
        opened.set_viewport_size({"width": width, "height": height})
        found = [(rule["id"], rule["nodes"][0]["html"]) for rule in Axe().run(opened).response["violations"]]
        assert found == [], (scheme, width)
        assert opened.evaluate("document.documentElement.scrollWidth") == width


def test_without_its_script_the_page_shows_all_there_is(browser, report: Path):
    page = browser.new_page(java_script_enabled=False)
    page.goto(report.as_uri())
    page.locator("summary").filter(has_text="every contender").click()
    assert len(rows(page)) == 12 and page.locator("table.answers button, input, select").count() == 0
    page.close()


def test_every_format_is_offered_and_the_preview_is_the_file(address: str, page: Page, tmp_path: Path):
    page.goto(f"{address}/report")
    heads = {
        "PDF": b"%PDF-", "HTML": b"<!doctype html>", "Markdown": b"# demo", "JSON": b"{",
        "CSV tables": b"PK", "Parquet tables": b"PK", "model card": b"---\n",
    }  # fmt: skip
    for name, head in heads.items():
        with page.expect_download() as waiting:
            page.get_by_role("button", name=f"Download {name}").click()
        waiting.value.save_as(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(head), name
    assert page.locator("iframe").last.get_attribute("srcdoc") == (tmp_path / "HTML").read_text()
    page.get_by_role("radio", name="PDF").click()
    expect(
        page.get_by_role("img", name=re.compile("Page 1 of [0-9]+ of the PDF; here begin: Keep in mind"))
    ).to_be_visible()
    settle(page)
    page.get_by_role("radio", name="Model card").click()
    expect(page.get_by_text("pipeline_tag")).to_be_visible()
    expect(page).to_have_url(re.compile(r"preview=Model"))
    page.reload()
    expect(page.get_by_text("pipeline_tag")).to_be_visible()


@pytest.mark.parametrize(
    ("where", "heading", "place"),
    [("toxicity", "Prompts that moved most", (75 + 25, 35 + 48)), ("results", "The votes", (25, 35 + 18))],
)
def test_from_a_row_to_both_answers_in_one_click(
    dashboard: Dashboard, page: Page, where: str, heading: str, place: tuple[int, int]
):
    """The table is a canvas; its first link is under the header of 35 px, on toxicity beside a column of 75 px."""
    with closing(dashboard.votes) as store:
        judge(store, store.ensure_task(own_task(RunReader(dashboard.root / "runs" / "demo"))))
    page.goto(f"{dashboard.address}/{where}?run=demo")
    expect(page.get_by_role("heading", name=heading)).to_be_visible()
    settle(page)
    table = page.get_by_test_id("stDataFrame").last
    table.scroll_into_view_if_needed()
    settle(page)
    table.hover(position={"x": place[0], "y": place[1]})
    with page.expect_popup() as waiting:
        table.click(position={"x": place[0], "y": place[1]})
    asked = re.search("compare-prompt=(p[0-9]+)", waiting.value.url)
    assert asked and waiting.value.url.startswith(f"{dashboard.address}/compare?")
    prompt = next(item.prompt for item in PROMPTS if item.id == asked[1])
    expect(waiting.value.get_by_text(re.compile(r"[0-9]+ of 12 in this order"))).to_be_visible()
    expect(waiting.value.get_by_text(prompt, exact=True).last).to_be_visible()
