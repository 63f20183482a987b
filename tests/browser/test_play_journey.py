"""An owner asks two models, goes on with an answer, keeps pairs, makes a task, and a labeller judges blind. Real workers."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Dashboard, judged_so_far, leave_instructions, served
from tests.browser.settling import open_page, press, settle
from tests.browser.test_judging_access import assert_accessible
from tests.play_factory import write_playable_run

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LOADING = 120_000
"""Milliseconds in which a worker has loaded its libraries and models, on a busy machine too."""


@pytest.fixture
def playing(tmp_path: Path) -> Iterator[Dashboard]:
    """A dashboard on a run whose contenders can be asked."""
    with served(tmp_path) as dashboard:
        write_playable_run(tmp_path / "runs", "generate.max_new_tokens=24")
        dashboard.start()
        yield dashboard


def workers(run: Path) -> list[int]:
    """The processes that answer for a run."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"play" in words and str(run).encode() in words:
            found.append(int(entry.parent.name))
    return found


def test_a_pair_is_asked_for_kept_and_judged(playing: Dashboard, page: Page) -> None:
    page.goto(f"{playing.address}/playground?seed=5")
    prompt = page.get_by_label("Prompt", exact=True)
    prompt.wait_for()
    settle(page)  # keys that are pressed while the page is still being drawn are Streamlit's to lose
    prompt.fill("Name a colour.")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".st-key-play-panel-0").get_by_text(re.compile("Loading"))).to_be_visible()
    texts = _answers(page)
    for side, name in enumerate(("Base model", "Tuned model")):
        expect(page.locator(f".st-key-play-panel-{side}").get_by_role("heading", name=name)).to_be_visible()
    assert re.search(r"prompt=Name\+a\+colour", page.url) and "seed=5" in page.url

    expect(page.get_by_role("button", name=re.compile("Keep the pair"))).to_be_enabled()
    press(page, "k")
    expect(page.get_by_text("Kept as a judging item.").first).to_be_visible()
    press(page, "k")
    expect(page.get_by_text("Kept already: the same prompt and answers count once.").first).to_be_visible()

    assert_accessible(page, "answers, kept")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.get_by_role("button", name="Go on with the right answer").click()
    message = page.get_by_label("Next message")
    expect(page.locator(".st-key-play-so-far").get_by_text("Tuned model, right")).to_be_visible()
    settle(page)
    message.fill("Another one.")
    page.keyboard.press("Control+Enter")
    second = _answers(page)
    expect(message).to_have_value("Another one.")
    assert second != texts
    settle(page)
    press(page, "k")
    expect(page.get_by_text("2 pairs of base and tuned")).to_be_visible()
    assert_accessible(page, "a second turn")
    page.set_viewport_size({"width": 1440, "height": 900})

    settle(page)
    page.get_by_role("button", name="Make a task of them").click()
    page.get_by_role("link", name="Judge it").click()
    leave_instructions(page)
    expect(judged_so_far(page, 0, 2)).to_be_visible()
    judged = [_pair(page)]
    press(page, "1")
    expect(judged_so_far(page, 1, 2)).to_be_visible()
    judged.append(_pair(page))
    assert sorted(judged) == sorted(map(sorted, (texts, second)))
    press(page, "1")
    expect(judged_so_far(page, 2, 2)).to_be_visible()


def test_an_address_brings_back_the_conversation_and_the_browser_s_back_its_turns(
    playing: Dashboard, page: Page, browser: Browser
) -> None:
    page.goto(f"{playing.address}/playground?prompt=Name+a+colour.&tokens=8&seed=5")
    answer = page.get_by_role("button", name=re.compile("^Answer"))
    answer.wait_for()
    settle(page)
    answer.click()
    expect(page.get_by_text("Loading", exact=False).first).to_be_visible()
    page.reload()  # while the models are loaded for it
    texts = _answers(page)
    settle(page)
    page.reload()
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("Name a colour.")
    assert _answers(page) == texts
    settle(page)
    first = page.url
    answer.click()
    expect(page).not_to_have_url(first)
    assert _answers(page) == texts  # the same seed: drawn anew, and the same

    settle(page)
    page.get_by_role("button", name="Go on with the left answer").click()
    message, so_far = page.get_by_label("Next message"), page.locator(".st-key-play-so-far")
    expect(so_far).to_contain_text(texts[0])
    settle(page)
    message.fill("Another one.")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Answers appear here")).to_have_count(0)
    second = _answers(page)
    settle(page)
    other = open_page(browser)
    other.goto(page.url)
    expect(other.locator(".st-key-play-so-far")).to_contain_text(texts[0])
    expect(other.get_by_label("Next message")).to_have_value("Another one.")
    assert _answers(other) == second
    other.close()
    page.get_by_role("button", name="Start anew").click()
    expect(so_far).to_have_count(0)
    settle(page)
    for _ in range(2):  # Streamlit makes an address without the conversation, and another without its message
        page.go_back()
        settle(page)
    expect(so_far).to_contain_text(texts[0])
    assert _answers(page) == second


def _answers(page: Page) -> list[str]:
    """Both answers once they are whole; they differ."""
    expect(page.get_by_text(re.compile("First token after"))).to_have_count(2, timeout=LOADING)
    texts = [page.locator(f".st-key-play-panel-{side}").get_by_test_id("stText").inner_text() for side in (0, 1)]
    assert all(texts) and texts[0] != texts[1]
    return texts


def _pair(page: Page) -> list[str]:
    """The two answers that are judged now."""
    return sorted(page.locator(f".st-key-judge-panel-{side}").get_by_test_id("stText").inner_text() for side in "AB")


def test_a_link_is_changed_and_starts_a_conversation_that_is_forgotten(playing: Dashboard, page: Page) -> None:
    page.goto(f"{playing.address}/playground?prompt=Sing.&system=Rhyme.&tokens=8")
    prompt, system = page.get_by_label("Prompt", exact=True), page.get_by_role("textbox", name="System prompt")
    expect(system).to_have_value("Rhyme.")
    prompt.fill("Dance.")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text(re.compile("First token after"))).to_have_count(2, timeout=LOADING)
    expect(page.get_by_text(re.compile("These answers follow a system prompt"))).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Keep the pair"))).to_be_disabled()
    assert (prompt.input_value(), system.input_value()) == ("Dance.", "Rhyme.")
    assert_accessible(page, "a system prompt")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.get_by_role("button", name="Go on with the left answer").click()
    expect(page.locator(".st-key-play-so-far").get_by_text("Base model, left")).to_be_visible()
    page.get_by_role("button", name="Start anew").click()
    expect(prompt).to_have_value("")
    expect(page.locator(".st-key-play-so-far")).to_have_count(0)
    assert "system=Rhyme" in page.url


def test_a_killed_worker_is_told_and_the_next_answer_comes(playing: Dashboard, page: Page) -> None:
    page.goto(f"{playing.address}/playground?prompt=Sing.&tokens=700")
    answer = page.get_by_role("button", name=re.compile("^Answer"))
    answer.wait_for()
    settle(page)
    answer.click()
    expect(page.get_by_text(re.compile("Being written")).first).to_be_visible(timeout=LOADING)
    run = (playing.root / "runs" / "demo").resolve()
    (worker,) = workers(run)
    os.kill(worker, signal.SIGKILL)
    expect(page.get_by_text(re.compile(r"was killed \(SIGKILL\)"))).to_be_visible()
    page.get_by_role("spinbutton", name="Most tokens").fill("12")
    page.keyboard.press("Enter")
    settle(page)
    answer.click()
    expect(page.get_by_text(re.compile("First token after"))).to_have_count(2, timeout=LOADING)
    assert len(workers(run)) == 1
