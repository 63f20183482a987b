"""A run of the tiny model from the form to its end: started, watched, paused, resumed in the browser; every screen by axe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from rlhf_core.config import load_config
from rlhf_core.runs.standing import writer
from tests.browser.axe import EXCEPTIONS, RULES, SCREENS
from tests.browser.conftest import Dashboard, served
from tests.browser.settling import settle

pytestmark = pytest.mark.browser
LONG = 180_000  # ms
KNOWN = EXCEPTIONS | {("scrollable-region-focusable", "stTable")}
"""Streamlit's table, too, scrolls sideways on a phone and takes no tabindex."""
NEAREST = "selector => document.querySelector(selector)?.closest('[data-testid]')?.dataset.testid"


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Dashboard]:
    """A dashboard without runs; what is still at work in the end is stopped."""
    with served(tmp_path) as dashboard:
        dashboard.start()
        yield dashboard
        for path in (tmp_path / "runs").glob("*/"):
            if process := writer(path):
                process.kill()


def assert_accessible(page: Page, what: str) -> None:
    """No violation in either theme, wide or narrow; afterwards the page is wide again."""
    for scheme, (width, height) in (*SCREENS, SCREENS[0]):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": height})
        page.mouse.move(1, 1)
        for _ in range(4):
            settle(page)
            found = broken(page)
            if found <= KNOWN:
                break
            page.wait_for_timeout(500)  # what has just been drawn or changed fades in
        assert found <= KNOWN, (what, scheme, width, found)


def broken(page: Page) -> set[tuple[str, str]]:
    """The rules broken now, each with the nearest test id."""
    rules = Axe().run(page, options=RULES).response["violations"]
    return {(rule["id"], page.evaluate(NEAREST, node["target"][0])) for rule in rules for node in rule["nodes"]}


def test_a_run_is_started_watched_paused_resumed_and_finished(empty: Dashboard, page: Page) -> None:
    page.goto(f"{empty.address}/runs")
    expect(page.get_by_text("No runs yet")).to_be_visible()
    settle(page)
    page.get_by_text("New run", exact=True).click()
    settle(page)
    page.get_by_role("combobox", name="Start from").click()
    page.get_by_role("option", name="tiny.yaml").click()
    iterations = page.get_by_role("spinbutton", name="PPO: iterations")
    expect(iterations).to_have_value("3")
    iterations.fill("25")
    iterations.press("Enter")
    expect(page.get_by_text("--set ppo.iterations=25")).to_be_visible()
    expect(page.get_by_role("heading", name="1 difference from tiny.yaml")).to_be_visible()
    page.get_by_text("Evaluation", exact=True).first.click()
    expect(page.get_by_role("spinbutton", name="Bootstrap")).to_have_value("200")
    assert "start=tiny.yaml" in page.url
    assert_accessible(page, "form")

    page.get_by_role("button", name="Start", exact=True).dblclick()
    expect(page.get_by_role("heading", name="tiny", exact=True)).to_be_visible()
    assert "open=tiny" in page.url
    expect(page.get_by_text("PPO: step")).to_be_visible(timeout=LONG)
    settle(page)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("It goes on from its last checkpoint, to the last bit.")).to_be_visible(timeout=LONG)
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    assert_accessible(page, "paused run")

    page.get_by_role("button", name="All runs").click()
    expect(page.get_by_text("1 run, none at work.")).to_be_visible()
    assert_accessible(page, "list")
    page.get_by_role("button", name="Look closer").click()
    expect(page.get_by_role("heading", name="What it printed")).to_be_visible()
    page.go_back()
    expect(page.get_by_text("1 run, none at work.")).to_be_visible()
    settle(page)
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("1 of 1 run at work.")).to_be_visible()
    empty.kill()  # the run outlives the dashboard
    empty.start()
    page.goto(f"{empty.address}/runs?open=tiny")
    expect(page.get_by_text("Complete in ")).to_be_visible(timeout=LONG)
    expect(page.get_by_text("evaluate: done in")).to_be_visible()
    expect(page.get_by_role("button", name="Resume")).to_have_count(0)
    settle(page)
    run = empty.root / "runs" / "tiny"
    assert [path.name for path in (empty.root / "runs").glob("*/")] == ["tiny"]
    assert load_config(run / "config.yaml").ppo.iterations == 25
    rows = [json.loads(line) for line in (run / "ppo" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "objective/kl" in row] == list(range(1, 26))
