"""A team in the browser: an owner makes a link, a labeller goes in with it and judges, the owner ends it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from rlhf_core.feedback.people import PeopleStore
from rlhf_core.feedback.store import VoteStore
from tests.browser.conftest import PROJECT, free_port, judged_so_far, wait_until_healthy
from tests.browser.settling import open_page, press, settle
from tests.run_factory import write_run
from tests.vote_factory import make_spec

pytestmark = pytest.mark.browser


@pytest.fixture
def first_link(tmp_path: Path) -> Iterator[str]:
    """The owner's link to a team's dashboard with a run and an open task of six pairs."""
    write_run(tmp_path / "runs" / "first")
    with closing(VoteStore(tmp_path / "votes.db")) as store:
        store.ensure_task(make_spec())
    with closing(PeopleStore(tmp_path / "votes.db")) as people:
        token = people.invite("Olga", "owner")
    port = free_port()
    places = {"RLHF_VOTES": str(tmp_path / "votes.db"), "RLHF_RECORDED_RUN": str(tmp_path), "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-m", "rlhf_core", "dashboard", "--team", "--port", str(port)]
    command += ["--run-root", str(tmp_path / "runs")]
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(command, cwd=PROJECT, env=os.environ | places, stdout=log, stderr=log)
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}", server)
        yield f"http://127.0.0.1:{port}/join/{token}"
    finally:
        server.terminate()
        server.wait(20)


def test_from_the_owners_link_to_a_labellers_last_click(first_link: str, page: Page) -> None:
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text) if "Content Security" in message.text else None)
    page.goto(first_link)
    page.get_by_role("button", name="Go in").click()
    expect(page.get_by_text("base SD above the base model")).to_be_visible()
    page.get_by_role("link", name="People", exact=True).click()
    page.get_by_role("textbox", name="Name").wait_for()
    settle(page)
    page.get_by_role("textbox", name="Name").fill("Ana")
    page.get_by_role("button", name="Make a link").click()
    expect(page.get_by_text("It is shown this once")).to_be_visible()
    link = page.get_by_test_id("stCode").inner_text().strip()

    assert page.context.browser
    labeller = open_page(page.context.browser, viewport={"width": 1440, "height": 900})  # another device
    labeller.goto(link)
    labeller.get_by_role("button", name="Go in").click()
    labeller.get_by_role("button", name="Start judging").wait_for()
    assert labeller.url.endswith("/judge")
    expect(labeller.get_by_text("Ana, labeller")).to_be_visible()
    expect(labeller.get_by_role("link", name=re.compile("Results|Overview|People"))).to_have_count(0)
    expect(labeller.get_by_label("Your name")).to_have_count(0)
    press(labeller, "Enter")
    expect(judged_so_far(labeller, 0, 6)).to_be_visible()
    press(labeller, "1")
    expect(judged_so_far(labeller, 1, 6)).to_be_visible()

    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("Whose link ends")).to_have_count(0)
    labeller.keyboard.press("1")
    labeller.wait_for_timeout(1500)
    expect(judged_so_far(labeller, 2, 6)).to_have_count(0)
    labeller.goto(link.partition("/join/")[0])
    expect(labeller.get_by_role("heading", name="By invitation")).to_be_visible()
    labeller.goto(link)
    labeller.get_by_role("button", name="Go in").click()
    expect(labeller.get_by_role("heading", name="This link does not work")).to_be_visible()
    assert not refused


def test_signing_out_is_the_end_in_this_browser(first_link: str, page: Page) -> None:
    page.goto(first_link)
    page.get_by_role("button", name="Go in").click()
    expect(page.get_by_text("Olga, owner")).to_be_visible()
    with page.context.expect_page() as waiting:
        page.get_by_role("link", name="Sign out").click()
    leaving = waiting.value
    leaving.get_by_role("button", name="Sign out").click()
    expect(leaving.get_by_role("heading", name="You are signed out")).to_be_visible()
    page.goto(first_link.partition("/join/")[0])
    expect(page.get_by_role("heading", name="By invitation")).to_be_visible()
