"""What a person does in the browser, found by visible labels: read curves, judge by keyboard, take the report away."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Dashboard, judged_so_far, leave_instructions
from tests.browser.pictures import Keep
from tests.browser.settling import press

pytestmark = pytest.mark.browser
SIDES = re.compile(rb"\b(base|tuned|sft|baseline|contender)\b", re.IGNORECASE)


def test_from_the_first_look_to_the_report(recorded: Dashboard, page: Page, picture: Keep, tmp_path: Path) -> None:
    """A newcomer finds the figures that the README gives of the recorded run, judges, and takes the report away."""
    page.goto(recorded.address)
    expect(page.get_by_text("The tuned model scores 2.40 [2.09, 2.71] base SD above the base model")).to_be_visible()
    expect(page.get_by_text("Can I trust it?")).to_be_visible()
    picture(page, "overview")
    picture(page, "phone", width=390)

    open_page(page, "Training")
    expect(page.get_by_role("combobox", name="Run", exact=True)).to_have_value("Recorded run")
    expect(page.get_by_text("Held-out win rate, by score")).to_be_visible()
    expect(page.get_by_text("Reward against drift", exact=True)).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(4 + 1)  # the curves and the score; it has no audits
    picture(page, "training")
    page.get_by_role("radio", name="Policy", exact=True).click()
    expect(page.get_by_text("Clipped ratios", exact=False).first).to_be_visible()
    picture(page, "training-dark", scheme="dark")

    open_page(page, "Toxicity")
    expect(page.get_by_text("0.046 before, 0.072 after, a change of +0.026 [−0.010, 0.061]")).to_be_visible()
    picture(page, "toxicity")
    open_page(page, "Compare")
    expect(page.get_by_text("scores higher than the base model on 90 of 96 prompts, lower on 6.")).to_be_visible()
    picture(page, "compare")
    open_page(page, "Results")
    expect(page.get_by_text("A rule made them, no person judged")).to_be_visible()
    expect(page.get_by_role("heading", name="May I stop?")).to_be_visible()
    picture(page, "results")
    open_page(page, "Report")
    expect(page.frame_locator("iframe").get_by_text("No person has judged this run yet")).to_be_visible()
    picture(page, "report")

    open_page(page, "Judge")
    leave_instructions(page)
    picture(page, "judge")
    for number in range(10):
        judge(page, "1", number + 1, 96)
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
    press(page, "s")
    expect(prompt).not_to_have_text(before)
    press(page, "h")
    expect(page.get_by_text("Prefer the answer that helps more.")).to_be_visible()
    expect(judged_so_far(page, 3, 12)).to_be_hidden()
    press(page, "Enter")
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


def judge(page: Page, key: str, judged: int, total: int = 12) -> None:
    """Press a key and wait until the next pair stands."""
    press(page, key)
    expect(judged_so_far(page, judged, total)).to_be_visible()


def as_bytes(data: bytes | str) -> bytes:
    return data if isinstance(data, bytes) else data.encode()


def without_theme(frame: bytes) -> bytes:
    """Leave out the first frame of a session: the theme and settings, where `base` is a colour scheme."""
    return b"" if b"theme" in frame.lower() and b"judge" not in frame else frame
