"""Watching a run: charts that point together, ranges that outlast a refresh, checkpoints, notes, a link to it all."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from rlhf_core.runs.directory import StageDirectory
from tests.browser.conftest import Dashboard
from tests.browser.settling import settle

pytestmark = pytest.mark.browser
AREAS = '[class*="st-key-curve-"] .nsewdrag'
RANGE = re.compile("range-ppo-step")


def open_training(page: Page, address: str, query: str = "") -> Locator:
    """Open a run's PPO curves and return the areas of their charts."""
    page.goto(f"{address}/training?run=demo{query}")
    areas = page.locator(AREAS)
    expect(areas).to_have_count(4)
    settle(page)
    return areas


def drag(page: Page, area: Locator, start: float, end: float) -> None:
    """Draw a range across a chart, from one share of its width to another."""
    box = area.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + start * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], middle + 4, steps=8)
    page.mouse.up()


def steps_shown(page: Page) -> str:
    return page.get_by_role("textbox", name="Range").input_value()


def test_what_the_mouse_points_to_in_one_chart_all_others_show(address: str, page: Page) -> None:
    areas = open_training(page, address)
    box = areas.first.bounding_box()
    assert box is not None
    # The factory logs steps 1 … 24, and the charts share that with a hundredth of room: 12 is this share of the way.
    share = (12 - 0.77) / (24.23 - 0.77)
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 40)
    page.mouse.move(box["x"] + share * box["width"], box["y"] + 44)
    labels = page.locator('[class*="st-key-curve-"] .hoverlayer .legend')
    expect(labels).to_have_count(4)
    for place in range(4):
        expect(labels.nth(place)).to_contain_text("12")
    page.mouse.move(2, 2)
    expect(labels).to_have_count(0)


def test_a_range_drawn_in_one_chart_is_shown_in_all_and_outlasts_a_refresh(dashboard: Dashboard, page: Page) -> None:
    areas = open_training(page, dashboard.address)
    drag(page, areas.nth(1), 0.25, 0.75)
    expect(page).to_have_url(RANGE)
    expect(page.get_by_role("textbox", name="Range")).to_have_value(re.compile(r"\d–\d"))
    first, last = (int(step) for step in steps_shown(page).split("–"))
    assert first in range(6, 9) and last in range(17, 20)  # of 1 … 24
    settle(page)
    expect(page.locator(AREAS)).to_have_count(4)
    page.mouse.wheel(0, 300)
    settle(page)
    scrolled = page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop")
    StageDirectory(dashboard.root / "runs" / "demo" / "ppo").log(25, {"objective/kl": 5.0, "new/one": 1.0})
    page.get_by_text("All PPO metrics of this run").click()
    page.wait_for_timeout(17_000)  # ms: a run that is not written to is read again every 15 s
    assert steps_shown(page) == f"{first}–{last}"
    ticks = [
        float(text) for text in page.locator('[class*="st-key-curve-"]').first.locator(".xtick").all_text_contents()
    ]
    assert first <= min(ticks) and max(ticks) <= last
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == scrolled
    page.get_by_role("textbox", name="Range").fill("")
    page.keyboard.press("Enter")
    expect(page).not_to_have_url(RANGE)


def test_a_link_shows_what_its_sender_saw(address: str, page: Page) -> None:
    open_training(page, address)
    page.get_by_role("radio", name="Minutes").or_(page.get_by_text("Minutes", exact=True)).first.click()
    settle(page)
    page.get_by_role("textbox", name="Find").fill("kl$")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Held-out drift (KL)")).to_be_visible()
    settle(page)
    sent = page.url
    page.goto("about:blank")
    page.goto(sent)
    expect(page.get_by_text("Held-out drift (KL)")).to_be_visible()
    expect(page.locator(AREAS)).to_have_count(3)  # objective/kl, policy/approxkl, eval/kl
    expect(page.locator('[class*="st-key-curve-"] .xtitle').first).to_have_text("minutes")
    assert "run=demo" in sent


def test_a_dot_of_reward_against_drift_brings_its_completions(address: str, page: Page) -> None:
    open_training(page, address)
    dot = page.locator('[class*="st-key-drift-score"] path.point').nth(1)
    dot.scroll_into_view_if_needed()
    settle(page)
    box = dot.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.wait_for_timeout(200)
    page.mouse.click(box["x"] + 2, box["y"] + 2)
    expect(page).to_have_url(re.compile("steps="))
    expect(page.get_by_text("Step 4", exact=True)).to_be_visible()  # the factory's measurements are four steps apart


def test_a_note_is_kept_beside_the_run(dashboard: Dashboard, page: Page) -> None:
    open_training(page, dashboard.address)
    page.get_by_text("Add a note").click()
    page.get_by_label("Notes on this run").fill("Try a **higher** β.")
    settle(page)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Try a higher β.")).to_be_visible()
    note = Path(dashboard.root / "runs" / "demo" / "notes.md")
    until = time.monotonic() + 5
    while not note.is_file() and time.monotonic() < until:
        time.sleep(0.1)
    assert note.read_text() == "Try a **higher** β."


def test_what_went_wrong_is_named_and_its_curve_and_answers_are_at_hand(dashboard: Dashboard, page: Page) -> None:
    ppo = StageDirectory(dashboard.root / "runs" / "demo" / "ppo")
    for step in range(25, 33):  # the factory ends at 24, healthy
        ppo.log(step, {"objective/kl": 60.0 + step, "policy/clipfrac": 0.8})
    open_training(page, dashboard.address)
    expect(page.get_by_text("The policy has drifted far from its reference")).to_be_visible()
    expect(page.get_by_text("Raise ppo.kl_coef", exact=False).first).to_be_visible()
    expect(page.get_by_text("Many updates are clipped")).to_be_visible()
    page.get_by_role("textbox", name="Find").fill("clipfrac")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Clipped ratios", exact=False).last).to_be_visible()
    settle(page)
    page.get_by_role("textbox", name="Range").fill("20-32")
    page.keyboard.press("Enter")
    expect(page).to_have_url(RANGE)
    expect(page.locator(AREAS).first).to_be_visible()
    page.get_by_text("Completions through training").scroll_into_view_if_needed()
    expect(page.get_by_text("Dotted: at step", exact=False)).to_be_visible()
