"""Runs started as the Runs page starts them, as real processes: paused, resumed, failed; what is left is what `rlhf` leaves."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from dashboard.services import launching
from dashboard.services.launching import RunRow, failure_words, run_row
from dashboard.services.settings import Settings, read_settings
from rlhf_core.config import PipelineConfig, load_config
from rlhf_core.errors import RunError
from rlhf_core.runs.standing import writer
from tests.pipeline.test_kill import left_behind

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ("sft.epochs=3", "sft.eval_every=1", "reward.eval_every=1", "ppo.iterations=12", "ppo.eval_every=2")
LONGEST = 300  # seconds


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """A dashboard on an empty folder; whatever is still at work there in the end is stopped."""
    settings = replace(read_settings({}), run_root=tmp_path / "runs", recorded_run=tmp_path / "none")
    yield settings
    for path in settings.run_root.glob("*/"):
        if process := writer(path):
            process.kill()
            process.wait(10)


def config(settings: Settings, *overrides: str) -> PipelineConfig:
    return load_config(ROOT / "configs" / "tiny.yaml", [*SETTINGS, f"run_root={settings.run_root}", *overrides])


def wait(settings: Settings, name: str, until: Callable[[RunRow], bool]) -> RunRow:
    end = time.monotonic() + LONGEST
    while not until(row := run_row(settings, name)):
        assert time.monotonic() < end, (row.state, row.last_line)
        time.sleep(0.05)
    return row


def in_ppo(row: RunRow) -> bool:
    """It has done an iteration of PPO, and has more to do."""
    assert row.state in ("starting", "running"), (row.state, row.last_line)
    current = row.standing.status.current if row.standing else None
    return current is not None and current.name == "ppo" and 0 < current.step < 12


def test_a_run_that_is_paused_twice_leaves_what_an_uninterrupted_one_does(settings: Settings, tmp_path: Path) -> None:
    """Once while it loads, once within PPO; to the last bit, as after kills."""
    made = config(settings)
    assert launching.start(settings, made) == launching.start(settings, made) == "tiny"  # a double click
    assert len(processes(settings)) == 1
    launching.pause(settings, "tiny")
    assert wait(settings, "tiny", lambda row: not row.at_work).state == "paused"

    launching.resume(settings, "tiny")
    wait(settings, "tiny", in_ppo)
    with pytest.raises(RunError, match="a run of this name is there already"):
        launching.start(settings, config(settings, "seed=5"))
    launching.pause(settings, "tiny")
    row = wait(settings, "tiny", lambda row: not row.at_work)
    assert row.state == "paused" and row.can_resume and processes(settings) == []
    assert "KeyboardInterrupt" not in str(row.standing)

    launching.resume(settings, "tiny")
    launching.resume(settings, "tiny")
    assert len(processes(settings)) == 1
    assert wait(settings, "tiny", lambda row: not row.at_work).state == "complete"
    options = [word for one in (*SETTINGS, f"run_root={tmp_path / 'whole'}") for word in ("--set", one)]
    command = [sys.executable, "-m", "rlhf_core", "pipeline", "configs/tiny.yaml", *options]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, timeout=LONGEST).returncode == 0
    expected = left_behind(tmp_path / "whole" / "tiny")
    assert {"sft/metrics.jsonl", "reward/metrics.jsonl", "ppo/metrics.jsonl"} < expected.keys()
    assert left_behind(settings.run_root / "tiny") == expected


def test_a_run_that_is_killed_is_interrupted_and_goes_on(settings: Settings) -> None:
    launching.start(settings, config(settings))
    wait(settings, "tiny", lambda row: row.state == "running")
    process = writer(settings.run_root / "tiny")
    assert process
    process.kill()
    row = wait(settings, "tiny", lambda row: not row.at_work)
    assert row.state == "interrupted" and row.can_resume
    launching.resume(settings, "tiny")
    assert wait(settings, "tiny", lambda row: row.state != "starting").state == "running"


def test_a_run_that_cannot_begin_says_why(settings: Settings) -> None:
    launching.start(settings, config(settings, "policy.model=./nowhere"))
    row = wait(settings, "tiny", lambda row: not row.at_work)
    assert row.state == "failed" and row.can_resume
    assert "no such model" in failure_words(row) and "Expected a folder" in failure_words(row)


def processes(settings: Settings) -> list[psutil.Process]:
    """The pipelines at work on runs of this folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "rlhf_core" in words and any(word.startswith(str(settings.run_root)) for word in words):
            found.append(process)
    return found
