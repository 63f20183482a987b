"""Pages under test, on run directories that are complete, empty, running or damaged."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.services.voting import open_store
from rlhf_core.runs import launch, standing
from tests.run_factory import write_run

INSTRUCTIONS = "# How to judge\n\nPrefer the answer that helps more.\n"


@dataclass(frozen=True)
class Studio:
    """A place with runs, a recorded run, votes and instructions, and a way to open a page on it."""

    root: Path

    @property
    def runs(self) -> Path:
        """The run root."""
        return self.root / "runs"

    @property
    def votes(self) -> str:
        """The vote store's path."""
        return str(self.root / "votes.db")

    def add_run(self, name: str = "demo", *, refusals: bool = False) -> Path:
        """Write a complete run, with a test of refusals where wanted."""
        return write_run(self.runs / name, refusals=refusals)

    def add_recorded(self) -> Path:
        """Write a recorded run with simulated votes."""
        return write_run(self.root / "recorded", votes="simulated", recorded=True)

    def open(self, page: str = "Overview", **address: str) -> AppTest:
        """Run the app with `page` in front; `address` is the query of its address."""
        script = f"from dashboard.navigation import choose_page\nchoose_page({page!r}).run()\n"
        app = AppTest.from_string(script, default_timeout=20)
        app.query_params |= address
        return app.run()


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """An empty studio that the pages look at."""
    studio = Studio(tmp_path)
    studio.runs.mkdir()
    (tmp_path / "instructions.md").write_text(INSTRUCTIONS, encoding="utf-8")
    for name, value in (
        ("RLHF_RUN_ROOT", studio.runs),
        ("RLHF_RECORDED_RUN", tmp_path / "recorded"),
        ("RLHF_VOTES", studio.votes),
        ("RLHF_INSTRUCTIONS", tmp_path / "instructions.md"),
    ):
        monkeypatch.setitem(os.environ, name, str(value))
    yield studio
    open_store(studio.votes).close()
    open_store.cache_clear()


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """What would be started: the arguments of `rlhf`; in its place a process sleeps under the name of one of ours."""
    asked: list[list[str]] = []
    made: list[subprocess.Popen[bytes]] = []

    def spawn(arguments: list[str], log: Path, folder: Path | None) -> subprocess.Popen[bytes]:
        asked.append(arguments)
        made.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "rlhf_core"]))
        return made[-1]

    monkeypatch.setattr(launch, "spawn", spawn)
    yield asked
    for process in made:
        process.kill()
        process.wait(10)


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take this process for an `rlhf` command."""
    monkeypatch.setattr(standing, "_is_ours", lambda words: True)


def said(app: AppTest) -> str:
    """Return everything a page says, one element a line, without Markdown's escapes."""
    kinds = (app.title, app.subheader, app.markdown, app.caption, app.text, app.code, app.error, app.warning)
    lines = [str(element.value) for kind in kinds for element in kind]
    return "\n".join(lines).replace("\\", "")
