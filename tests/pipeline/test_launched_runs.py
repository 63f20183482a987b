"""Runs started as the Runs page starts them, as real processes: paused, resumed, failed; what is left is what `rlhf` leaves."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest

from dashboard.services import launching
from dashboard.services.launching import RunRow, failure_words, run_row, standing_words
from dashboard.services.settings import Settings, read_settings
from rlhf_core.config import PipelineConfig, load_config
from rlhf_core.errors import RunError
from rlhf_core.runs.standing import writer
from tests.pipeline.test_kill import left_behind

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ("sft.epochs=3", "sft.eval_every=50", "ppo.iterations=12", "ppo.eval_every=2", "ppo.checkpoint_every=50")
"""Checkpoints are far apart: within a stage only a pause writes one."""
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


def in_ppo(before: bytes, row: RunRow) -> bool:
    """This attempt has logged an iteration of PPO, and has more to do."""
    assert row.state in ("starting", "running"), (row.state, row.last_line)
    rows = row.entry.path / "ppo" / "metrics.jsonl"
    found = rows.read_bytes() if rows.is_file() else b""
    return b"objective/kl" in found.removeprefix(before) and found.count(b"objective/kl") < 11


def logged(settings: Settings, stage: str) -> bytes:
    return (settings.run_root / "tiny" / stage / "metrics.jsonl").read_bytes()


def test_a_run_that_is_paused_three_times_leaves_what_an_uninterrupted_one_does(
    settings: Settings, tmp_path: Path
) -> None:
    """Once while it loads, twice within PPO; to the last bit, as after kills, and no step is done twice."""
    made = config(settings)
    assert launching.start(settings, made) == launching.start(settings, made) == "tiny"  # a double click
    assert len(processes(settings)) == 1
    launching.pause(settings, "tiny")
    assert wait(settings, "tiny", lambda row: not row.at_work).state == "paused"

    before = b""
    for _ in range(2):
        launching.resume(settings, "tiny")
        row = wait(settings, "tiny", partial(in_ppo, before))
        with pytest.raises(RunError, match="a run of this name is there already"):
            launching.start(settings, config(settings, "seed=5"))
        launching.pause(settings, "tiny")
        launching.pause(settings, "tiny")  # a double click is no second thought
        row = wait(settings, "tiny", lambda row: not row.at_work)
        assert row.state == "paused" and row.can_resume and processes(settings) == []
        current = row.standing.status.current if row.standing else None
        assert current and (current.name, current.state) == ("ppo", "paused")
        steps = [json.loads(line)["step"] for line in logged(settings, "ppo").splitlines()]
        assert max(steps) == current.step == row.entry.reader.checkpoints("ppo")[-1]
        assert logged(settings, "ppo").startswith(before)  # with their times: nothing was done again
        before = logged(settings, "ppo")
    assert "which is kept. It goes on from its last checkpoint" in standing_words(row)

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
    assert logged(settings, "ppo").startswith(before)


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


def test_a_pause_that_is_hurried_stops_at_once_and_goes_on_from_the_checkpoint_before(settings: Settings) -> None:
    """Each iteration writes tens of thousands of tokens: too long to be over between two signals."""
    long = ("ppo.response_length=200", "ppo.batch_size=160", "ppo.iterations=3")
    launching.start(settings, config(settings, *long))
    wait(settings, "tiny", lambda row: row.state == "failed" or "ppo: started" in launching.log_tail(row.entry))
    wait(settings, "tiny", lambda row: (row.entry.path / "ppo" / "metrics.jsonl").is_file())  # step 0 is measured
    time.sleep(0.2)
    launching.pause(settings, "tiny")
    row = run_row(settings, "tiny")
    assert row.state == "pausing" and row.can_stop_now and not row.can_pause
    assert "finishing the step" in standing_words(row)
    launching.stop_now(settings, "tiny")
    row = wait(settings, "tiny", lambda row: not row.at_work)
    assert row.state == "paused" and "which is kept" not in standing_words(row)
    assert row.entry.reader.checkpoints("ppo") == []
    assert "pausing after this step; once more stops at once" in launching.log_tail(row.entry)


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
