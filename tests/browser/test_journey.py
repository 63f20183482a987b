"""What a person does in the browser, found by visible labels: read curves, judge by keyboard, take the report away."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import judged_so_far, leave_instructions, settle

pytestmark = pytest.mark.browser
SIDES = re.compile(rb"\b(base|tuned|sft|baseline|contender)\b", re.IGNORECASE)


def test_from_the_curves_to_the_report(address: str, page: Page, tmp_path: Path) -> None:
    page.goto(address)
    expect(page.get_by_text("base SD above the base model")).to_be_visible()

    open_page(page, "Training")
    expect(page.get_by_text("Held-out win rate, by score")).to_be_visible()
    expect(page.get_by_text("Reward against drift", exact=True)).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(4 + 5)  # the curves; the score, an audit and three more

    open_page(page, "Results")
    expect(page.get_by_text("Nobody has judged this run yet.")).to_be_visible()
    open_page(page, "Judge")
    leave_instructions(page)
    for number in range(10):
        judge(page, "1", number + 1)

    open_page(page, "Results")
    expect(page.get_by_text("of 10 votes against the base model")).to_be_visible()

    open_page(page, "Report")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download HTML").click()
    waiting.value.save_as(tmp_path / "report.html")
    page.goto(f"file://{tmp_path / 'report.html'}")
    expect(page.get_by_text("10 votes").first).to_be_visible()


def test_every_key_does_what_the_bar_says(address: str, page: Page) -> None:
    page.goto(f"{address}/judge")
    leave_instructions(page)
    for number, key in enumerate("1209"):
        judge(page, key, number + 1)
    judge(page, "u", 3)
    prompt = page.get_by_test_id("stText").first
    before = prompt.inner_text()
    page.keyboard.press("s")
    expect(prompt).not_to_have_text(before)
    page.keyboard.press("h")
    expect(page.get_by_text("Prefer the answer that helps more.")).to_be_visible()
    expect(judged_so_far(page, 3, 12)).to_be_hidden()
    page.keyboard.press("Enter")
    expect(judged_so_far(page, 3, 12)).to_be_visible()
    expect(page).to_have_url(re.compile("judging="))
    page.reload()  # comes back to the item, not to the instructions
    expect(judged_so_far(page, 3, 12)).to_be_visible()


def test_a_double_press_is_one_vote(address: str, page: Page) -> None:
    page.goto(f"{address}/judge")
    leave_instructions(page)
    judged_so_far(page, 0, 12).wait_for()
    press = "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '1', code: 'Digit1', bubbles: true}))"
    page.evaluate(f"{press}; {press}")
    expect(judged_so_far(page, 1, 12)).to_be_visible()
    page.wait_for_timeout(1500)
    expect(judged_so_far(page, 1, 12)).to_be_visible()


def test_nothing_that_reaches_the_browser_names_a_side(address: str, page: Page) -> None:
    frames: list[bytes] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda data: frames.append(as_bytes(data))))
    page.goto(f"{address}/judge")
    leave_instructions(page)
    judged_so_far(page, 0, 12).wait_for()
    for number in range(3):
        judge(page, "1", number + 1)
    assert any(b"of 12 judged" in frame for frame in frames)
    named = {match for frame in frames for match in SIDES.findall(without_theme(frame))}
    assert not named
    assert not SIDES.search(page.url.encode())
    assert not SIDES.search(page.locator("[data-testid=stMain]").inner_html().encode())


def test_completions_run_nothing(address: str, page: Page) -> None:
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(f"{address}/judge")
    leave_instructions(page)
    seen = ""
    for number in range(12):
        seen += page.locator("[data-testid=stMain]").inner_text()
        judge(page, "0", number + 1)
    assert "<script>alert('hello')</script>" in seen
    assert not dialogs


def test_the_bar_stays_in_sight_on_a_phone(address: str, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{address}/judge")
    leave_instructions(page)
    for label in ("A", "Tie", "Both bad", "B"):
        expect(page.get_by_role("button", name=label, exact=False).first).to_be_in_viewport()
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390


def open_page(page: Page, title: str) -> None:
    page.get_by_role("link", name=title, exact=True).click()


def judge(page: Page, key: str, judged: int) -> None:
    """Press a key and wait until the next pair stands."""
    page.keyboard.press(key)
    expect(judged_so_far(page, judged, 12)).to_be_visible()
    settle(page)


def as_bytes(data: bytes | str) -> bytes:
    return data if isinstance(data, bytes) else data.encode()


def without_theme(frame: bytes) -> bytes:
    """Leave out the first frame of a session: the theme and settings, where `base` is a colour scheme."""
    return b"" if b"theme" in frame.lower() and b"judge" not in frame else frame
