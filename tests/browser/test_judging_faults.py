"""Faults while an item is shown: the server dies and comes back, two tabs, a message sent twice. One verdict, one vote."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Dashboard, judged_so_far, start_judging
from tests.browser.settling import open_page, press, settle
from tests.vote_factory import make_spec

pytestmark = pytest.mark.browser
RECORD = """
const send = WebSocket.prototype.send;
window.sent = [];
WebSocket.prototype.send = function (data) { window.socket = this; window.sent.push(data); return send.call(this, data); };
"""


def make_task(dashboard: Dashboard, **design: object) -> int:
    with closing(dashboard.votes) as store:
        return store.ensure_task(replace(make_spec(3, **design), run_name="trial"))


def stored(dashboard: Dashboard, task: int) -> list[str]:
    """Every verdict in the log, in order."""
    with closing(dashboard.votes) as store:
        return store.log(task)["verdict"].tolist()


def texts(page: Page) -> list[str]:
    return page.get_by_test_id("stText").all_inner_texts()


def test_a_server_that_dies_comes_back_to_the_same_item(dashboard: Dashboard, page: Page) -> None:
    task = make_task(dashboard)
    page.goto(f"{dashboard.address}/judge?task={task}")
    page.get_by_role("textbox", name="Your name").wait_for()
    settle(page)
    page.get_by_role("textbox", name="Your name").fill("ana")
    page.keyboard.press("Tab")
    start_again(page, dashboard, task)
    before = texts(page)
    dashboard.kill()
    page.locator("[data-testid=stApp]:not([data-test-connection-state=CONNECTED])").wait_for()
    page.keyboard.press("1")  # goes nowhere
    dashboard.start()
    page.locator("[data-testid=stApp][data-test-connection-state=CONNECTED]").wait_for()
    for _ in range(
        10
    ):  # what is pressed before the new server has drawn the item is lost, as is what was pressed above
        settle(page)
        assert texts(page) == before
        press(page, "2")
        if judged_so_far(page, 1, 3).count():
            break
    expect(judged_so_far(page, 1, 3)).to_be_visible()
    assert stored(dashboard, task) == ["b"]
    with closing(dashboard.votes) as store:
        assert store.votes(task)["labeller"].tolist() == ["ana"]


def start_again(page: Page, dashboard: Dashboard, task: int) -> None:
    settle(page)
    page.get_by_role("button", name="Start judging").press("Enter")
    judged_so_far(page, 0, 3).wait_for()
    settle(page)
    assert f"task={task}" in page.url


def test_two_tabs_of_one_labeller_give_one_vote_an_item(dashboard: Dashboard, page: Page, browser: Browser) -> None:
    task = make_task(dashboard)
    start_judging(page, dashboard.address, task)
    other = open_page(browser)
    start_judging(other, dashboard.address, task)
    assert texts(other) == texts(page)
    press(page, "1")
    expect(judged_so_far(page, 1, 3)).to_be_visible()
    press(other, "1")  # the same verdict on the same item
    expect(judged_so_far(other, 1, 3)).to_be_visible()
    press(page, "1")
    expect(judged_so_far(page, 2, 3)).to_be_visible()
    press(other, "2")  # another verdict on an item that has one
    expect(other.get_by_test_id("stAlert").get_by_text("this item has a verdict already")).to_be_visible()
    assert stored(dashboard, task) == ["a", "a"]
    other.close()


def test_a_message_that_arrives_again_is_no_second_vote(page: Page, dashboard: Dashboard) -> None:
    task = make_task(dashboard)
    page.add_init_script(RECORD)
    start_judging(page, dashboard.address, task)
    page.evaluate("window.sent = []")
    press(page, "1")
    expect(judged_so_far(page, 1, 3)).to_be_visible()
    assert page.evaluate("window.sent.length") >= 1
    for _ in range(3):  # at once, and after the answer
        page.evaluate("window.sent.slice().forEach(message => window.socket.send(message))")
        page.wait_for_timeout(700)
        settle(page)
    expect(judged_so_far(page, 1, 3)).to_be_visible()
    assert page.get_by_text("encountered an error").count() == 0
    assert stored(dashboard, task) == ["a"]


def test_two_quick_presses_are_one_vote_on_each_criterion(page: Page, dashboard: Dashboard) -> None:
    """A double click speaks of the item twice: of several criteria it may answer two, never more, and never the next item."""
    task = make_task(dashboard, criteria=("kind", "true"))
    start_judging(page, dashboard.address, task)
    page.get_by_role("button", name="A Shortcut 1").dblclick()
    page.wait_for_timeout(1500)
    settle(page)
    assert page.get_by_text("encountered an error").count() == 0
    with closing(dashboard.votes) as store:
        assert len(store.votes(task)) in (0, 2)  # rows: one a criterion
        assert store.progress(task, "labeller").done <= 1
