"""A live server on a run directory of its own, and a Chromium page on it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from rlhf_core.feedback.store import VoteStore
from tests.browser.pictures import FOLDER, Keep, keeper
from tests.browser.settling import open_page, press
from tests.run_factory import write_run

PROJECT = Path(__file__).resolve().parents[2]
RECORDED = PROJECT / "sample_data" / "recorded_run"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
expect.set_options(timeout=30_000)  # ms; the first page of a server waits for its imports


class Dashboard:
    """A dashboard on a folder of its own, at an address that it keeps when it is started again."""

    def __init__(self, root: Path, recorded: Path | None = None) -> None:
        self.root, self.port, self.recorded = root, free_port(), recorded or root / "none"
        self.address = f"http://127.0.0.1:{self.port}"
        (root / "runs").mkdir(exist_ok=True)
        (root / "instructions.md").write_text("# How to judge\n\nPrefer the answer that helps more.\n")

    @property
    def votes(self) -> VoteStore:
        """The vote store the pages write to; close it."""
        return VoteStore(self.root / "votes.db")

    def start(self) -> None:
        """Start the server and wait for it."""
        places = {
            "RLHF_RUN_ROOT": self.root / "runs",
            "RLHF_RECORDED_RUN": self.recorded,
            "RLHF_VOTES": self.root / "votes.db",
            "RLHF_INSTRUCTIONS": self.root / "instructions.md",
            "PYTHONPATH": PROJECT,
        }
        command = [sys.executable, "-m", "streamlit", "run", "dashboard/app.py", "--server.port", str(self.port)]
        environment = os.environ | {name: str(value) for name, value in places.items()}
        with (self.root / "server.log").open("a") as log:
            self._server = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=log, stderr=log)
        wait_until_healthy(self.address, self._server)

    def kill(self) -> None:
        """Kill the server, so that nothing is put in order."""
        self._server.kill()
        self._server.wait(10)


@contextmanager
def served(root: Path, recorded: Path | None = None) -> Iterator[Dashboard]:
    """A dashboard that is not started yet; the server ends with the block."""
    dashboard = Dashboard(root, recorded)
    try:
        yield dashboard
    finally:
        dashboard.kill()


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Dashboard]:
    """A dashboard that serves one complete run."""
    with served(tmp_path) as dashboard:
        write_run(tmp_path / "runs" / "demo")
        dashboard.start()
        yield dashboard


@pytest.fixture
def address(dashboard: Dashboard) -> str:
    """The address of a dashboard that serves one complete run."""
    return dashboard.address


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Dashboard]:
    """A dashboard as a newcomer finds it: without runs of their own, beside the recorded one."""
    with served(tmp_path, RECORDED) as dashboard:
        dashboard.start()
        yield dashboard


@pytest.fixture
def picture() -> Keep:
    """Keep what a page shows as a picture of the docs: `picture(page, "training")`; nothing where no folder is named for them."""
    return keeper(os.environ.get(FOLDER))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where a folder for pictures is named, run the journeys that keep some and no others."""
    if os.environ.get(FOLDER):
        others = [item for item in items if "picture" not in getattr(item, "fixturenames", ())]
        items[:] = [item for item in items if item not in others]
        config.hook.pytest_deselected(items=others)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A Chromium page, 1440 × 900, with nothing left from another."""
    page = open_page(browser, viewport={"width": 1440, "height": 900})
    yield page
    page.close()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_healthy(address: str, server: subprocess.Popen[bytes], seconds: float = 60) -> None:
    """Wait for the server to answer, or fail when it has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert server.poll() is None, "the server ended; see server.log"
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"no answer from {address} in {seconds:g} s")


def start_judging(page: Page, address: str, task: int) -> None:
    """Open a task and leave its instructions."""
    page.goto(f"{address}/judge?task={task}")
    leave_instructions(page)


def leave_instructions(page: Page) -> None:
    """Go from a task's instructions to its first item."""
    page.get_by_role("button", name="Start judging").wait_for()
    press(page, "Enter")
    page.get_by_test_id("stCaptionContainer").get_by_text(" judged").wait_for()


def judged_so_far(page: Page, judged: int, total: int) -> Locator:
    """The line that says how far the labeller is; screen readers hear the same elsewhere."""
    return page.get_by_test_id("stCaptionContainer").get_by_text(f"{judged} of {total} judged")
