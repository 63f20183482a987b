"""An owner makes a task in the browser, sends it on, and a labeller judges its first item."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import judged_so_far, leave_instructions
from tests.browser.settling import press, settle

pytestmark = pytest.mark.browser


def test_a_task_is_made_and_judged(address: str, page: Page) -> None:
    page.goto(f"{address}/tasks")
    expect(page.get_by_text("No tasks yet")).to_be_visible()
    settle(page)
    page.get_by_role("button", name="New task").click()
    page.get_by_label("Name", exact=True).fill("first-task")
    contenders = page.get_by_role("combobox", name="Contenders")
    for name in ("base", "tuned"):
        contenders.click()
        page.get_by_role("option", name=f"demo · {name}").click()
        settle(page)  # a choice reaches the server a moment after it is made; a press before is lost
    page.keyboard.press("Escape")
    settle(page)
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_text("Each labeller gives 12 votes")).to_be_visible()
    settle(page)
    page.get_by_role("button", name="Create and open").click()
    expect(page.get_by_role("heading", name="Task 1 is open.")).to_be_visible()
    assert page.url.endswith("/tasks?task=1")

    link = page.get_by_text(f"{address}/judge?task=1").inner_text()
    page.goto(link)
    leave_instructions(page)
    expect(judged_so_far(page, 0, 12)).to_be_visible()
    press(page, "1")
    expect(judged_so_far(page, 1, 12)).to_be_visible()

    page.goto(f"{address}/tasks")
    page.get_by_role("button", name="Look closer").click()
    expect(page.get_by_text("1 of 12 verdicts, 1 labeller so far.")).to_be_visible()
    settle(page)
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Close the task").click()
    expect(page.get_by_role("heading", name="Task 1 is closed.")).to_be_visible()
    expect(page.get_by_text(re.compile("Send this to labellers"))).to_have_count(0)
