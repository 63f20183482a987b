"""A language model’s verdicts on Results and in the report: apart from people’s, and set against them where there are some."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect

from rlhf_core.feedback.collect import own_task
from rlhf_core.report.auto_judges import folder_of_run
from rlhf_core.runs.reader import RunReader
from tests.auto_factory import write_verdicts
from tests.browser.axe import assert_accessible
from tests.browser.conftest import Dashboard, served
from tests.browser.settling import settle
from tests.dashboard.test_results import judge_all
from tests.run_factory import write_run
from tests.unit.report.test_auto_judges import pairs

pytestmark = pytest.mark.browser
TITLE = "Automatic judges (not people)"
NAMES = ("qwen3", "a-judge-with-a-long-name-of-its-own")
WIDE = "document.documentElement.scrollWidth <= innerWidth"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard on a run that two language models have judged, and another that people have judged as well."""
    with served(tmp_path_factory.mktemp("judged")) as dashboard:
        for name in ("alone", "both"):
            run = write_run(dashboard.root / "runs" / name)
            for judge, shown in zip(NAMES, (pairs(run), pairs(run)[:5]), strict=True):
                write_verdicts(folder_of_run(run) / f"{judge}.jsonl", shown)
        with closing(dashboard.votes) as store:
            judge_all(store, store.ensure_task(own_task(RunReader(dashboard.root / "runs" / "both"))))
        dashboard.start()
        yield dashboard


def test_before_people_have_judged_nobody_takes_the_judges_for_them(studio: Dashboard, page: Page) -> None:
    page.goto(f"{studio.address}/results?run=alone")
    expect(page.get_by_text("Nobody has judged this run yet.")).to_be_visible()
    expect(page.get_by_role("heading", name=TITLE)).to_be_visible()
    expect(page.get_by_text("they are no votes, and enter no other figure", exact=False)).to_be_visible()
    # Of twelve pairs six are won, two lost, two swayed, two both bad: (6 + 1 + 1)/12.
    expect(page.get_by_text("qwen3 does not settle it: the tuned model wins 66.7%", exact=False)).to_be_visible()
    expect(page.get_by_text("No person has judged these pairs yet", exact=False)).to_have_count(2)
    expect(page.locator(".js-plotly-plot")).to_have_count(1)
    settle(page)
    assert_accessible(page, "judges alone")
    assert page.evaluate(WIDE)  # the last screen is 390 px wide


def test_beside_people_their_agreement_is_shown_and_the_table_has_every_number(studio: Dashboard, page: Page) -> None:
    page.goto(f"{studio.address}/results?run=both")
    expect(page.get_by_role("heading", name=TITLE)).to_be_visible()
    expect(
        page.get_by_text("Against people: qwen3 (verdict): the same choice as most people on", exact=False)
    ).to_be_visible()
    expect(page.locator('[class*="st-key-auto-judges"] .js-plotly-plot')).to_have_count(2)
    settle(page)
    page.get_by_text("Data behind the automatic judges").click()
    table = page.get_by_test_id("stDataFrame").last
    expect(table).to_be_visible()
    settle(page)
    assert_accessible(page, "judges beside people")
    assert page.evaluate(WIDE)


def test_the_report_has_them_in_a_section_of_their_own(studio: Dashboard, page: Page) -> None:
    page.goto(f"{studio.address}/report?run=both")
    report = page.frame_locator("iframe")
    expect(report.get_by_role("heading", name=TITLE)).to_be_visible()
    expect(report.get_by_text("qwen3 does not settle it", exact=False).first).to_be_visible()
    page.get_by_role("radio", name="Markdown").click()
    expect(page.get_by_text(f"## {TITLE}", exact=False).first).to_be_visible()
    settle(page)
    page.get_by_role("radio", name="PDF").click()
    expect(page.get_by_role("img", name=re.compile(re.escape(TITLE)))).to_be_visible()
