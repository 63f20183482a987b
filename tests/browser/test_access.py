"""Every page for everybody: WCAG 2.1 A and AA by axe-core, in both themes, wide and narrow; the Judge page has tests of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from dashboard.navigation import VIEWS
from dashboard.services.access import MANAGE, READ
from tests.browser.axe import assert_accessible
from tests.browser.conftest import Dashboard, served
from tests.browser.settling import settle
from tests.run_factory import write_run

pytestmark = pytest.mark.browser
PAGES = [title for _, title, _, right in VIEWS if right in (READ, MANAGE) and title != "People"]  # People: in team mode


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard with two complete runs."""
    root = tmp_path_factory.mktemp("pages")
    with served(root) as dashboard:
        for name in ("demo", "other"):
            write_run(root / "runs" / name, refusals=True)
        dashboard.start()
        yield dashboard


@pytest.mark.parametrize("title", PAGES)
def test_a_page_is_accessible(studio: Dashboard, page: Page, title: str) -> None:
    page.goto(f"{studio.address}/{'' if title == 'Overview' else title.lower()}?run=demo")
    page.get_by_role("heading", level=1).wait_for()
    settle(page)
    assert_accessible(page, title)
