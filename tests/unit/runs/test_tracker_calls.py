"""What W&B, Trackio and MLflow are told: with the libraries themselves where they are installed, else with stand-ins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rlhf_core.runs.directory import RunDirectory
from rlhf_core.runs.foreign import read_curves
from rlhf_core.runs.sinks import Trackers

ROOT = Path(__file__).resolve().parents[3]
VALUES = {0: 0.1, 1: 0.25, 2: 1e-9, 3: 0.3}


def installed(name: str) -> Any:
    return pytest.mark.skipif(not find_spec(name), reason=f"{name} is not installed; `pip install {name}` adds it")


def missing(name: str) -> Any:
    return pytest.mark.skipif(bool(find_spec(name)), reason=f"{name} is installed, and is tested itself")


def log_in_two_parts(path: Path, name: str) -> None:
    """Steps 0–2, then again from the checkpoint of step 1 on: 2 is logged twice, and is to be sent once."""
    run = RunDirectory(path, Trackers((name,), "demo"))
    for steps in (range(3), range(2, 4)):
        stage = run.stage("sft")
        stage.rewind(steps[0] - 1 if steps[0] else -1)
        for step in steps:
            stage.log(step, {"train/loss": VALUES[step]})
        stage.close()


class Calls:
    """Notes every call, as `(name, arguments, named)`."""

    def __init__(self) -> None:
        self.made: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def noting(self, name: str, result: Any = None) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            self.made.append((name, arguments, named))
            return result

        return call

    def of(self, name: str) -> list[dict[str, Any]]:
        return [named for called, _, named in self.made if called == name]


@missing("wandb")
def test_wandb_is_told_our_steps_and_goes_on_with_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    calls = Calls()
    run = SimpleNamespace(log=calls.noting("log"), finish=calls.noting("finish"))
    module = SimpleNamespace(init=calls.noting("init", run), Settings=lambda **named: named)
    monkeypatch.setitem(sys.modules, "wandb", module)  # pyright: ignore[reportArgumentType]
    log_in_two_parts(tmp_path / "quick", "wandb")
    first, again = calls.of("init")
    assert (first["project"], first["name"], first["group"]) == ("demo", "quick/sft", "quick")
    assert first["id"] == again["id"] and first["resume"] == "allow" and first["reinit"] == "create_new"
    assert [named["step"] for named in calls.of("log")] == [0, 1, 2, 3]
    assert [arguments[0]["train/loss"] for name, arguments, _ in calls.made if name == "log"] == [*VALUES.values()]
    assert len(calls.of("finish")) == 2


@missing("trackio")
def test_trackio_is_told_our_steps_and_goes_on_with_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    calls = Calls()
    run = SimpleNamespace(name="quick/sft", log=calls.noting("log"), finish=calls.noting("finish"))
    monkeypatch.setitem(sys.modules, "trackio", SimpleNamespace(init=calls.noting("init", run)))  # pyright: ignore[reportArgumentType]
    log_in_two_parts(tmp_path / "quick", "trackio")
    first, again = calls.of("init")
    assert (first["project"], first["name"], first["group"], first["resume"]) == ("demo", "quick/sft", "quick", "never")
    assert (again["name"], again["resume"]) == ("quick/sft", "must")
    assert [named["step"] for named in calls.of("log")] == [0, 1, 2, 3]
    assert len(calls.of("finish")) == 2


@missing("mlflow")
def test_mlflow_is_told_our_steps_and_times_and_goes_on_with_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    calls = Calls()
    client = SimpleNamespace(
        get_experiment_by_name=calls.noting("get"),
        create_experiment=calls.noting("create", "7"),
        create_run=calls.noting("run", SimpleNamespace(info=SimpleNamespace(run_id="abc"))),
        **{name: calls.noting(name) for name in ("log_batch", "update_run", "set_terminated")},
    )
    entities = SimpleNamespace(Metric=lambda *parts: parts)
    for name, module in (
        ("mlflow", SimpleNamespace()),
        ("mlflow.tracking", SimpleNamespace(MlflowClient=lambda: client)),
        ("mlflow.entities", entities),
    ):
        monkeypatch.setitem(sys.modules, name, module)  # pyright: ignore[reportArgumentType]
    log_in_two_parts(tmp_path / "quick", "mlflow")
    (made,) = calls.of("run")
    assert made == {"tags": {"run": "quick", "stage": "sft"}, "run_name": "quick/sft"}
    batches = [named["metrics"][0] for named in calls.of("log_batch")]
    assert [(name, value, step) for name, value, _, step in batches] == [
        ("train/loss", v, s) for s, v in VALUES.items()
    ]
    assert all(isinstance(stamp, int) and stamp > 1.7e12 for _, _, stamp, _ in batches)  # milliseconds
    assert [a for name, a, _ in calls.made if name in ("update_run", "set_terminated")] == [("abc",)] * 3


def in_a_process(tmp_path: Path, name: str, after: str = "", **settings: str) -> str:
    """Log in two parts in a process of its own, for these libraries keep to what they first were told; return what it prints."""
    code = f"""
from pathlib import Path
from tests.unit.runs.test_tracker_calls import log_in_two_parts
log_in_two_parts(Path({str(tmp_path / "quick")!r}), {name!r})
{after}
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT), **settings}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0 and "warning" not in done.stderr, done.stderr
    return done.stdout


@installed("trackio")
def test_trackio_itself_keeps_every_row_once(tmp_path: Path):
    in_a_process(tmp_path, "trackio", TRACKIO_DIR=str(tmp_path / "kept"))
    rows = read_curves(tmp_path / "kept" / "demo.db")["quick/sft"].rows
    assert dict(zip(rows["step"], rows["train/loss"], strict=True)) == VALUES


@installed("mlflow")
def test_mlflow_itself_keeps_every_row_once(tmp_path: Path):
    after = """
import json
from mlflow.tracking import MlflowClient
client = MlflowClient()
(run,) = client.search_runs([client.get_experiment_by_name("demo").experiment_id])
print("\\n" + json.dumps([[m.step, m.value] for m in client.get_metric_history(run.info.run_id, "train/loss")]))
"""
    said = in_a_process(tmp_path, "mlflow", after, MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path / 'kept.db'}")
    assert json.loads(said.splitlines()[-1]) == [[step, value] for step, value in VALUES.items()]


@installed("wandb")
def test_wandb_itself_keeps_both_parts_under_one_id(tmp_path: Path):
    in_a_process(tmp_path, "wandb", WANDB_MODE="offline")
    parts = sorted((tmp_path / "quick" / "sft" / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len({part.name for part in parts}) == 1 and len(parts) == 2
    counts = [part.read_bytes().count(b"train/loss") for part in parts]
    assert counts[0] >= 3 and counts[1] >= 1
