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
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.run_factory import write_run

PROJECT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
expect.set_options(timeout=30_000)  # ms; the first page of a server waits for its imports


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The address of a dashboard that serves one complete run."""
    write_run(tmp_path / "runs" / "demo")
    (tmp_path / "instructions.md").write_text("# How to judge\n\nPrefer the answer that helps more.\n")
    port = free_port()
    places = {
        "RLHF_RUN_ROOT": tmp_path / "runs",
        "RLHF_RECORDED_RUN": tmp_path / "none",
        "RLHF_VOTES": tmp_path / "votes.db",
        "RLHF_INSTRUCTIONS": tmp_path / "instructions.md",
        "PYTHONPATH": PROJECT,
    }
    command = [sys.executable, "-m", "streamlit", "run", "dashboard/app.py", "--server.port", str(port)]
    environment = os.environ | {name: str(value) for name, value in places.items()}
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=log, stderr=log)
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture
def page() -> Iterator[Page]:
    """A Chromium page, 1440 × 900."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser.new_page(viewport={"width": 1440, "height": 900})
        browser.close()


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
