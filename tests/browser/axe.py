"""WCAG 2.1 A and AA by axe-core, in both themes, wide and narrow."""

from __future__ import annotations

import re

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.settling import settle

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
SCREENS = [(scheme, size) for scheme in ("light", "dark") for size in ((1440, 900), (390, 844))]
EXCEPTIONS = {
    # A panel whose text does not fit scrolls; it is Streamlit's container, which takes no tabindex. Chromium and Firefox let
    # the keyboard into what scrolls, as `test_the_keyboard_alone_judges_pairs` shows; Safari does not.
    ("scrollable-region-focusable", "stVerticalBlock"),
}


def assert_accessible(page: Page, what: str) -> None:
    """No violation in either theme, wide or narrow."""
    for scheme, (width, height) in SCREENS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": height})
        page.mouse.move(1, 1)
        found = violations(page)
        for _ in range(3):
            if found <= EXCEPTIONS:
                break
            page.wait_for_timeout(500)  # what has just been drawn or changed fades in
            found = violations(page)
        assert found <= EXCEPTIONS, (what, scheme, width, found)


def violations(page: Page) -> set[tuple[str, str]]:
    """The rules broken now, each with the element: its test id, or its tag."""
    settle(page)
    return {
        (rule["id"], re.sub(r'.*data-testid="(\w+)".*', r"\1", node["html"].split(">")[0] + ">"))
        for rule in Axe().run(page, options=RULES).response["violations"]
        for node in rule["nodes"]
    }
