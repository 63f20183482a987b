"""Curves from elsewhere stand beside ours and over them, and pages that lack answers say how to come by some."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from rlhf_core.cli import main
from tests.browser.axe import assert_accessible
from tests.browser.conftest import Dashboard, served
from tests.browser.settling import settle
from tests.run_factory import write_run

pytestmark = pytest.mark.browser
STEPS = 40
TRACES = """() => [...document.querySelectorAll('[class*="st-key-curve-ppo-objective-kl-"] .js-plotly-plot')]
    .flatMap(plot => plot._fullData ?? []).map(trace => [trace.name, Math.max(...Array.from(trace.x))])"""
"""Each line of the curve of the KL, with the last step it has."""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard on a run of ours and one whose curves were imported."""
    with served(tmp_path_factory.mktemp("imported")) as dashboard:
        runs, logs = dashboard.root / "runs", dashboard.root / "logs.csv"
        write_run(runs / "demo")
        rows = [f"{n},{0.2 * n},{math.log(n) - 1},{60 - n / 2}" for n in range(1, STEPS + 1)]
        logs.write_text("\n".join(["step,objective/kl,objective/scores,objective/entropy", *rows]))
        with pytest.raises(SystemExit, match="0"):
            main(["data", "import", str(logs), str(runs / "theirs"), "--as", "curves"])
        dashboard.start()
        yield dashboard


def test_imported_curves_are_drawn_over_a_run_of_ours(studio: Dashboard, page: Page) -> None:
    page.goto(f"{studio.address}/?run=theirs")
    expect(
        page.get_by_text(re.compile(r"^It was trained elsewhere: its curves were imported from CSV"))
    ).to_be_visible()
    expect(page.get_by_text("imported: CSV", exact=False)).to_be_visible()
    expect(page.get_by_role("heading", name="Can I trust it?")).to_have_count(0)
    settle(page)
    assert_accessible(page, "Overview")
    page.set_viewport_size({"width": 1440, "height": 900})

    page.get_by_role("link", name="Next: look at its curves").click()
    expect(page.get_by_role("heading", name="Training", level=1)).to_be_visible()
    expect(page.get_by_role("combobox", name="Run", exact=True)).to_have_value("theirs")
    expect(page.locator('[class*="st-key-curve-"] .js-plotly-plot')).to_have_count(2)
    settle(page)
    page.get_by_role("combobox", name="Compare with").click()
    page.get_by_role("option", name="demo", exact=True).click()
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile("compare=demo"))
    page.wait_for_function(f"({TRACES})().length >= 2")
    settle(page)
    lines = {name: last for name, last in page.evaluate(TRACES) if name}
    assert lines["theirs"] == STEPS and lines["demo"] == 24  # the factory's last step
    assert_accessible(page, "Training, one over the other")


@pytest.mark.parametrize(
    ("title", "what"),
    [("Compare", "compare"), ("Judge", "judge"), ("Results", "judge"), ("Toxicity", "score"), ("Playground", "ask")],
)
def test_a_page_that_needs_answers_says_how_to_come_by_them(
    studio: Dashboard, page: Page, title: str, what: str
) -> None:
    page.goto(f"{studio.address}/{title.lower()}?run=theirs")
    expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
    expect(page.get_by_text("Only curves were imported")).to_be_visible()
    expect(page.get_by_text(re.compile(f"so there is nothing to {what}"))).to_be_visible()
    expect(page.get_by_text("rlhf contender add runs/quickstart theirs --model FOLDER")).to_be_visible()
    settle(page)
    assert_accessible(page, title)


def test_its_report_says_that_there_are_curves_alone(studio: Dashboard, page: Page) -> None:
    page.goto(f"{studio.address}/report?run=theirs")
    report = page.frame_locator("iframe")
    expect(report.get_by_text("of this run there are the training curves alone, imported from CSV")).to_be_visible()
    expect(report.get_by_text("imported curves", exact=True)).to_be_visible()
    expect(report.get_by_role("heading", name="Training")).to_be_visible()
    settle(page)
    assert_accessible(page, "Report")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download JSON").click()
    assert json.loads(waiting.value.path().read_text())["run"]["imported"].startswith("CSV")
