"""The server is killed twenty times while somebody votes: every vote that the page has counted is in the store, once."""

from __future__ import annotations

import random
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Dashboard, judged_so_far, start_judging
from tests.vote_factory import make_spec

pytestmark = [pytest.mark.browser, pytest.mark.slow]
KILLS, SIZE = 20, 60
SOONEST, LATEST = 3, 4000
"""Milliseconds from a press to the kill, evenly on a logarithmic scale; an idle machine has counted a vote after a few hundred."""


def counted(page: Page) -> int:
    """How many votes the page says it has taken."""
    line = page.get_by_test_id("stCaptionContainer").get_by_text(" judged").first.inner_text()
    return int(line.split(" of ")[0])


def test_twenty_deaths_of_the_server_lose_no_vote_the_page_has_counted(dashboard: Dashboard, page: Page) -> None:
    moments, before = random.Random(0), 0
    answered = 0
    with closing(dashboard.votes) as store:
        task = store.ensure_task(make_spec(SIZE))
        for _ in range(KILLS):
            start_judging(page, dashboard.address, task)
            expect(judged_so_far(page, before, SIZE)).to_be_visible()
            page.keyboard.press("1")
            page.wait_for_timeout(SOONEST * (LATEST / SOONEST) ** moments.random())
            dashboard.kill()
            shown, stored = counted(page), len(store.log(task))
            assert shown <= stored <= before + 1  # a vote may be stored whose answer was cut off
            answered += shown - before
            before = stored
            dashboard.start()
        assert 0 < answered < KILLS  # some died after the answer, some before it
        votes = store.votes(task)
    assert len(votes) == before and not votes.duplicated(["item_id", "labeller"]).any()
