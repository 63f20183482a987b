"""Rows on their way to trackers: each once, over interruptions, and training goes on whatever a tracker does."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rlhf_core.config import load_config
from rlhf_core.errors import ConfigError
from rlhf_core.pipeline import run_stage
from rlhf_core.pretraining import PLACE_KEYS
from rlhf_core.runs.directory import RunDirectory, StageDirectory
from rlhf_core.runs.foreign import read_curves
from rlhf_core.runs.sinks import OPENERS, Trackers, feed
from rlhf_core.runs.sinks.sink import Tracked
from rlhf_core.stopping import Stop
from tests.unit.test_pipeline import ROOT, Recorder

Sent = list[tuple[int, dict[str, float]]]


class Kept:
    """A tracker that keeps what it is sent, and fails at the steps it is told to."""

    def __init__(self) -> None:
        self.sent: Sent = []
        self.ids: list[str] = []
        self.closed = 0
        self.fails_at: set[int] = set()

    def open(self, tracked: Tracked, id: str) -> Any:
        self.ids.append(id)
        self.names = [*getattr(self, "names", []), tracked.name]

        def log(step: int, time: float, metrics: Mapping[str, float]) -> None:
            if step in self.fails_at:
                raise OSError(f"no network at step {step}")
            self.sent.append((step, dict(metrics)))

        def close() -> None:
            self.closed += 1

        return SimpleNamespace(id=id or "first", log=log, close=close)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    tracker = Kept()
    monkeypatch.setitem(OPENERS, "kept", tracker.open)
    return tracker


def log_steps(path: Path, first: int, last: int, to: tuple[str, ...] = ("kept",)) -> None:
    """Log the rows of steps first … last as training does: what comes after `first - 1` is logged again."""
    stage = RunDirectory(path, Trackers(to, "demo")).stage("sft")
    stage.rewind(first - 1 if first else -1)
    for step in range(first, last + 1):
        stage.log(step, {"train/loss": step / 4, "eval/loss": float("nan")})
    stage.close()


def row(step: int) -> tuple[int, dict[str, float]]:
    return step, {"train/loss": step / 4}


def test_every_row_is_sent_in_order_without_what_is_no_number(kept: Kept, tmp_path: Path):
    log_steps(tmp_path / "run", 0, 3)
    assert kept.sent == [row(step) for step in range(4)]
    assert kept.names == ["run/sft"] and kept.closed == 1


def test_steps_logged_again_after_an_interruption_are_sent_once(kept: Kept, tmp_path: Path):
    """Steps 0–5, then from the checkpoint of step 3 on: 4 and 5 are logged again. From the start, everything is."""
    log_steps(tmp_path / "run", 0, 5)
    log_steps(tmp_path / "run", 4, 7)
    log_steps(tmp_path / "run", 0, 8)
    assert [step for step, _ in kept.sent] == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert kept.ids == ["", "first", "first"]  # the tracker goes on with the same run


def test_a_tracker_named_later_is_sent_what_it_missed(kept: Kept, tmp_path: Path):
    log_steps(tmp_path / "run", 0, 3, to=())
    log_steps(tmp_path / "run", 3, 4)
    assert kept.sent == [row(step) for step in range(5)]


def test_a_tracker_that_fails_is_said_once_and_gets_the_rest_next_time(
    kept: Kept, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    kept.fails_at = {2}
    log_steps(tmp_path / "run", 0, 5)
    assert capsys.readouterr().err == "warning: kept: no network at step 2. Training goes on without it\n"
    assert [step for step, _ in kept.sent] == [0, 1]
    rows = (tmp_path / "run" / "sft" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in rows] == [0, 1, 2, 3, 4, 5]
    kept.fails_at = set()
    log_steps(tmp_path / "run", 5, 6)
    assert [step for step, _ in kept.sent] == [0, 1, 2, 3, 4, 5, 6]


def test_what_cannot_be_opened_is_said_once_for_all_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "trackio", None)  # as where it is not installed
    run = RunDirectory(tmp_path / "run", Trackers(("trackio",), "demo"))
    for name in ("sft", "ppo"):
        stage = run.stage(name)
        stage.rewind(-1)
        stage.log(0, {"train/loss": 1.0})
        stage.close()
    said = capsys.readouterr().err
    assert said.count("warning: trackio: not installed") == 1
    assert "`pip install trackio` adds it. Training goes on without it" in said


def test_a_tracker_that_hangs_holds_nothing_up(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(feed, "PATIENCE", 0.1)
    for_ever = Event()
    monkeypatch.setitem(OPENERS, "kept", lambda tracked, id: for_ever.wait(30) and kept.open(tracked, id))
    began = time.monotonic()
    log_steps(tmp_path / "run", 0, 50)
    assert time.monotonic() - began < 5
    assert "kept: has not taken all rows after 0 s and is left to itself. Training goes on" in capsys.readouterr().err
    for_ever.set()


def test_a_killed_process_leaves_nothing_twice(kept: Kept, tmp_path: Path):
    """Rows are counted before they are sent: one that was counted and not sent is missing, and none comes twice."""
    log_steps(tmp_path / "run", 0, 3)
    counted = tmp_path / "run" / "sft" / "tracked-kept.json"
    assert json.loads(counted.read_text()) == {"id": "first", "rows": 4}
    counted.write_text('{"id": "first", "rows": 5}')  # of step 4, which the tracker never got
    log_steps(tmp_path / "run", 4, 5)
    assert [step for step, _ in kept.sent] == [0, 1, 2, 3, 5]
    counted.write_text('{"id"')  # torn by a full disk: begins anew
    log_steps(tmp_path / "run", 6, 6)
    assert [step for step, _ in kept.sent][5:] == [0, 1, 2, 3, 4, 5, 6]


def test_a_folder_within_is_a_run_of_its_own_and_closed_with_its_stage(kept: Kept, tmp_path: Path):
    stage = RunDirectory(tmp_path / "run", Trackers(("kept",), "demo")).stage("reward")
    for directory in (stage, member := stage.inner("member-1")):
        directory.rewind(-1)
        directory.log(0, {"train/loss": 1.0})
    assert member.path == tmp_path / "run" / "reward" / "member-1"
    stage.close()
    assert sorted(kept.names) == ["run/reward", "run/reward/member-1"] and kept.closed == 2


def test_a_stage_without_trackers_starts_no_thread(tmp_path: Path):
    stage = StageDirectory(tmp_path / "sft")
    stage.rewind(-1)
    stage.log(0, {"train/loss": 1.0})
    stage.close()
    assert sorted(path.name for path in stage.path.iterdir()) == ["metrics.jsonl"]


def test_a_stage_that_fails_still_sends_what_it_logged(kept: Kept, tmp_path: Path):
    run = RunDirectory(tmp_path / "run", Trackers(("kept",), "demo"))

    def body(stage: Any) -> None:
        stage.directory.rewind(-1)
        stage.directory.log(0, {"train/loss": 0.0})
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        run_stage(run, "sft", 0, "inputs", Recorder(), body, Stop())
    assert kept.sent == [row(0)] and kept.closed == 1


def test_tensorboard_files_written_live_read_back_the_same(tmp_path: Path):
    """In 32 bits, which is what TensorBoard keeps; also with its own reader, and over an interruption."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run, values = RunDirectory(tmp_path / "run", Trackers(("tensorboard",), "demo")), [0.1, 1e-9, 3e20, -0.3]
    for first in (0, 2):  # the second time from the checkpoint of step 1
        stage = run.stage("ppo")
        stage.rewind(first - 1 if first else -1)
        for step in range(first, 4):
            stage.log(step, {"objective/kl": values[step], "eval/score": None})
        stage.close()
    rows = read_curves(tmp_path / "run")["ppo/tensorboard"].rows
    assert rows["step"].tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(rows["objective/kl"], np.float32(values))
    lines = (tmp_path / "run" / "ppo" / "metrics.jsonl").read_text().splitlines()
    logged = [json.loads(line)["time"] for line in lines]
    assert rows["time"].tolist()[:2] == logged[:2]
    theirs = EventAccumulator(str(tmp_path / "run" / "ppo" / "tensorboard")).Reload().Scalars("objective/kl")
    assert [(event.step, event.value) for event in theirs] == list(enumerate(np.float32(values)))


def test_the_configuration_names_the_trackers(tmp_path: Path):
    tiny = ROOT / "configs" / "tiny.yaml"
    config = load_config(tiny, ["log.to=[tensorboard, wandb]", "log.project=mine"])
    assert (config.log.to, config.log.project) == (("tensorboard", "wandb"), "mine")
    assert "log" not in load_config(tiny).model_dump()  # runs that do not use it look as they did
    assert "log:" in config.to_yaml()
    with pytest.raises(ConfigError, match=r"log\.to\.0: Input should be 'tensorboard', 'trackio', 'wandb' or 'mlflow'"):
        load_config(tiny, ["log.to=[neptune]"])
    assert "log" in PLACE_KEYS  # where rows go changes nothing of what is trained


def test_every_tracker_of_the_configuration_can_be_opened():
    from typing import get_args

    from rlhf_core.config import LogConfig

    (names, _) = get_args(LogConfig.model_fields["to"].annotation)
    assert set(get_args(names)) == OPENERS.keys()
