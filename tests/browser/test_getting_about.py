"""Back keeps the box of runs filled, charts follow the system’s theme, and a link arrives where it points."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from dashboard.palette import DARK, LIGHT
from tests.browser.conftest import Dashboard, served
from tests.browser.settling import settle
from tests.run_factory import write_run

pytestmark = pytest.mark.browser
COLOURS = """() => [...document.querySelectorAll('[class*="st-key-curve-"] .js-plotly-plot')]
    .flatMap(plot => plot.data).map(trace => trace.line?.color).filter(Boolean)"""
SCROLLED = "document.querySelector('[data-testid=stMain]').scrollTop"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard with two complete runs."""
    with served(tmp_path_factory.mktemp("about")) as dashboard:
        for name in ("demo", "other"):
            write_run(dashboard.root / "runs" / name)
        dashboard.start()
        yield dashboard


def test_back_shows_the_run_that_its_box_names(studio: Dashboard, page: Page) -> None:
    page.goto("about:blank")
    page.goto(f"{studio.address}/training")
    box = page.get_by_role("combobox", name="Run", exact=True)
    expect(box).to_have_value(re.compile("demo|other"))
    settle(page)
    first = box.input_value()
    page.get_by_role("link", name="Compare", exact=True).click()
    page.get_by_role("heading", name="Compare", level=1).wait_for()
    settle(page)
    steps = 0
    while steps < 8:  # Streamlit makes several addresses of one click; the first is bare, as it was typed
        page.go_back()
        if page.url == "about:blank":
            break
        page.get_by_role("heading", name="Training", level=1).wait_for()
        settle(page)
        expect(box).to_have_value(first)
        expect(page).to_have_url(re.compile(f"run={first}"))
        steps += 1
    assert 2 <= steps < 8


def test_charts_take_the_colours_of_the_system_s_theme_at_once(studio: Dashboard, page: Page) -> None:
    page.emulate_media(color_scheme="light")
    page.goto(f"{studio.address}/training?run=demo")
    page.wait_for_function(f"({COLOURS})().includes('{LIGHT.tuned}')")
    page.evaluate("window.sameDocument = true")
    for scheme, palette, other in (("dark", DARK, LIGHT), ("light", LIGHT, DARK)):
        settle(page)
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(f"({COLOURS})().includes('{palette.tuned}') && !({COLOURS})().includes('{other.tuned}')")
    assert page.evaluate("window.sameDocument")


def test_a_link_to_a_prompt_arrives_at_its_answers_once(studio: Dashboard, page: Page) -> None:
    page.goto(f"{studio.address}/compare?run=demo&compare-prompt=p08")
    chosen, answers = page.locator(".st-key-compare-chosen"), page.locator("[class*=st-key-compare-answer-]")
    expect(chosen.get_by_role("combobox", name="Prompt")).to_have_value("p08")
    settle(page)
    expect(chosen).to_be_in_viewport(ratio=1)
    expect(answers.first).to_be_in_viewport(ratio=0.5)
    page.get_by_test_id("stMain").evaluate("main => { main.scrollTop = 0 }")
    page.get_by_test_id("stMain").press("j")
    expect(chosen.get_by_role("combobox", name="Prompt")).not_to_have_value("p08")
    settle(page)
    assert page.evaluate(SCROLLED) == 0
    page.goto(f"{studio.address}/compare?run=demo")
    expect(answers.first).to_be_visible()
    settle(page)
    assert page.evaluate(SCROLLED) == 0
