"""A second round: votes on a run train the next one in a terminal; it is judged in the browser, and its result read there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from rlhf_core.runs.reader import RunReader
from tests.browser.axe import assert_accessible
from tests.browser.conftest import PROJECT, Dashboard, judged_so_far, leave_instructions, served
from tests.browser.pictures import Keep
from tests.browser.settling import press, settle
from tests.judged_factory import write_judged_run
from tests.vote_factory import shown

pytestmark = [pytest.mark.browser, pytest.mark.slow]
FAST = ("ppo.iterations=8", "ppo.optim.lr=0.02")
"""Few steps, and so large that the tuned model answers otherwise than the one before."""
PAIRS = 16
WHOLE = 300_000
"""Milliseconds in which what is left of a round is done, on a busy machine too."""


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[Dashboard]:
    """A dashboard on a run of tiny models that a person has judged."""
    with served(tmp_path) as dashboard:
        write_judged_run(tmp_path, *FAST)
        dashboard.start()
        yield dashboard


def test_from_votes_to_the_result_of_the_next_round(judged: Dashboard, page: Page, picture: Keep) -> None:
    page.goto(f"{judged.address}/results?run=first")
    # Ana says of 40 pairs what the recorded run's first made-up labeller says: 27 for tuned, 5 for base, 8 both bad.
    expect(page.get_by_text("it wins 77.5% [64.4, 86.8] of 40 votes")).to_be_visible()
    accessible(page, "votes, and what follows from them")
    stopped_on_the_way(shown_command(page), judged.root / "runs" / "first-round2")

    page.goto(f"{judged.address}/results?run=first")
    page.get_by_role("link", name="Round 2: first-round2").click()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_test_id("stCode").filter(has_text="Task 2 (first-round2) is open")).to_be_visible(timeout=WHOLE)
    printed = " ".join((judged.root / "runs" / "first-round2.log").read_text().split())
    assert "was begun before: its data stay as they are" in printed
    expect(page.get_by_text("Complete in ")).to_be_visible()
    settle(page)
    page.get_by_role("link", name="Its curves").click()
    page.get_by_role("link", name="Overview", exact=True).click()
    expect(page.get_by_text("round 2, from first, 40 votes")).to_be_visible()
    page.get_by_role("link", name="Next: judge some pairs, blind").click()
    wins = judge_some(page, judged, judged.root / "runs" / "first-round2")

    page.get_by_role("link", name="Results", exact=True).click()
    expect(page.get_by_role("combobox", name="Run", exact=True)).to_have_value("first-round2")
    for other, name in (("base", "base model"), ("round-1", "tuned model of round 1")):
        choose_pair(page, f"tuned model against {name}")
        total = wins[other, "tuned"] + wins[other, other]
        share = f"{100 * wins[other, 'tuned'] / total:.1f}%"
        expect(page.get_by_text(re.compile(rf"wins {share} \[.*\] of {total} votes")).first).to_be_visible()
    picture(page, "second-round")
    accessible(page, "three contenders")

    page.get_by_role("link", name="Report", exact=True).click()
    report = page.frame_locator("iframe").last
    expect(report.get_by_text("Round 2, from first and 40 votes on task 1")).to_be_visible()
    expect(report.get_by_text("The reward model that made the tuned model of round 2 agrees on")).to_be_visible()


def accessible(page: Page, what: str) -> None:
    """Find no violation in either theme, wide or narrow, and show the page as it was."""
    assert_accessible(page, what)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1440, "height": 900})


def shown_command(page: Page) -> list[str]:
    """The `rlhf` command that the page tells to type in a terminal, as it is run here."""
    words = shlex.split(page.get_by_test_id("stCode").filter(has_text="rlhf round").inner_text())
    assert words[:2] == ["rlhf", "round"]
    return [sys.executable, "-m", "rlhf_core", *words[1:]]


def stopped_on_the_way(command: list[str], run: Path) -> None:
    """Start a round and kill it once its reward model learns, when most is still to be done."""
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not at_work(run, "reward"):
            time.sleep(0.01)
        process.kill()
    assert RunReader(run).status().state == "interrupted"


def at_work(run: Path, stage: str) -> bool:
    """Say whether a stage is running, by the run's files."""
    return run.is_dir() and any(s.name == stage and s.state == "running" for s in RunReader(run).status().stages)


def judge_some(page: Page, judged: Dashboard, run: Path) -> Counter[tuple[str, str]]:
    """Judge pairs by the keyboard; return how often which opponent of the tuned model was met, and who was preferred.

    The tuned model is preferred in three of four pairs with the round before, its opponent in three of four with base.
    """
    reader = RunReader(run)
    names = {(a.prompt, a.text): name for name in reader.contenders() for a in reader.completions(name)}
    origin = reader.lineage()
    assert origin and origin.next_task
    task = origin.next_task
    met: Counter[str] = Counter()
    found: Counter[tuple[str, str]] = Counter()
    leave_instructions(page)
    with closing(judged.votes) as store:
        for number in range(PAIRS):
            item = shown(store, task, "labeller")
            sides = [names[item.prompt, text] for text in item.texts]
            (opponent,) = set(sides) - {"tuned"}
            met[opponent] += 1
            often, seldom = ("tuned", opponent) if opponent == "round-1" else (opponent, "tuned")
            preferred = seldom if met[opponent] % 4 == 0 else often
            found[opponent, preferred] += 1
            press(page, str(1 + sides.index(preferred)))
            expect(judged_so_far(page, number + 1, store.task(task).items)).to_be_visible()
    return found


def choose_pair(page: Page, label: str) -> None:
    """Look at one comparison of several."""
    page.get_by_role("combobox", name="Comparison").click()
    page.get_by_role("option", name=label, exact=True).click()
    settle(page)
