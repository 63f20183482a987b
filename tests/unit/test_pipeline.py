"""The pipeline's order of work with stages that do nothing: skipping, resuming, setting aside, failing, stopping."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rlhf_core import stages as work
from rlhf_core.config import PipelineConfig, load_config
from rlhf_core.errors import DataError, ModelError, ModelNotFoundError, RunError, ScorerError
from rlhf_core.pipeline import run_pipeline, stage_inputs
from rlhf_core.runs.directory import STAGES, RunDirectory
from rlhf_core.runs.reader import RunReader
from rlhf_core.runs.standing import pause_asked, standing
from rlhf_core.stopping import Paused, Stop

ROOT = Path(__file__).resolve().parents[2]


class Recorder:
    """A listener that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def stage_skipped(self, stage: str) -> None:
        self.heard.append(("skipped", stage))

    def stage_started(self, stage: str) -> None:
        self.heard.append(("started", stage))

    def progress(self, stage: str, step: int, total: int, message: str) -> None:
        self.heard.append(("progress", stage, step, total, message))

    def stage_pausing(self, stage: str) -> None:
        self.heard.append(("pausing", stage))

    def stage_finished(self, stage: str, seconds: float) -> None:
        self.heard.append(("finished", stage))


def make_config(root: Path, *overrides: str) -> PipelineConfig:
    return load_config(ROOT / "configs" / "tiny.yaml", [f"run_root={root}", *overrides])


def status(config: PipelineConfig) -> dict[str, Any]:
    return json.loads((config.run_path / "status.json").read_text())


def states(config: PipelineConfig) -> dict[str, str]:
    return {name: entry["state"] for name, entry in status(config)["stages"].items()}


def run(config: PipelineConfig, *stages: str) -> list[tuple[Any, ...]]:
    listener = Recorder()
    run_pipeline(config, listener, stages or STAGES)
    return listener.heard


@pytest.fixture(autouse=True)
def _idle_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stage leaves its folder, reports one step of two, and does nothing else."""

    def body(config: object, data: object, stage: Any) -> None:
        stage.path.mkdir(exist_ok=True)
        stage.report(1, 2, "half way")

    for name in STAGES:
        monkeypatch.setattr(work, f"run_{name}", body)


def break_stage(monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException) -> None:
    def body(config: object, data: object, stage: Any) -> None:
        stage.path.mkdir(exist_ok=True)
        stage.report(1, 2, "half way")
        raise error

    monkeypatch.setattr(work, f"run_{name}", body)


def test_stages_run_in_order_and_the_run_is_complete(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    heard = run(config)
    assert [h for h in heard if h[0] == "started"] == [("started", name) for name in STAGES]
    assert ("progress", "ppo", 1, 2, "half way") in heard
    assert states(config) == dict.fromkeys(STAGES, "complete") and status(config)["state"] == "complete"
    assert status(config)["stages"]["sft"]["eta_seconds"] == 0.0
    assert (config.run_path / "config.yaml").read_text() == config.to_yaml()
    assert json.loads((config.run_path / "env.json").read_text())["seed"] == 0


def test_a_second_run_skips_every_stage(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    run(config)
    assert run(config) == [("skipped", name) for name in STAGES]


def test_a_changed_setting_redoes_its_stage_and_those_after_it_and_keeps_the_old_folders(tmp_path: Path) -> None:
    run(make_config(tmp_path))
    changed = make_config(tmp_path, "reward.margin=0.5")
    started = [h[1] for h in run(changed) if h[0] == "started"]
    assert started == ["reward", "ppo", "generate", "evaluate"]
    assert (changed.run_path / "reward.before-1").is_dir() and (changed.run_path / "reward").is_dir()
    run(make_config(tmp_path, "reward.margin=0.25"), "sft", "reward")
    assert (changed.run_path / "reward.before-2").is_dir()


@pytest.mark.parametrize(
    ("override", "first"),
    [
        ("seed=1", "sft"), ("policy.lora.r=8", "sft"), ("sft.epochs=2", "sft"), ("data.limit=16", "sft"),
        ("reward.epochs=2", "reward"), ("ppo.kl_coef=0.2", "ppo"), ("generate.temperature=1.0", "generate"),
        ("evaluate.bootstrap=300", "evaluate"),
        ("threads=1", None), ("name=other", None), ("run_root=/elsewhere", None),
    ],
)  # fmt: skip
def test_inputs_change_from_the_stage_a_setting_belongs_to(tmp_path: Path, override: str, first: str | None) -> None:
    """Everything before that stage keeps its hash; that stage and everything after it get another."""
    before, after = make_config(tmp_path), make_config(tmp_path, override)
    changed = [name for name in STAGES if stage_inputs(before, name) != stage_inputs(after, name)]
    assert changed == (list(STAGES[STAGES.index(first) :]) if first else [])


@pytest.mark.parametrize(("file", "first"), [("demonstrations", "sft"), ("rankings", "reward"), ("prompts", "ppo")])
def test_inputs_change_with_the_content_of_their_file(tmp_path: Path, file: str, first: str) -> None:
    before = make_config(tmp_path)
    other = tmp_path / "other.jsonl"
    other.write_bytes(getattr(before.data, file).read_bytes() + b"\n")
    after = make_config(tmp_path, f"data.{file}={other}")
    changed = [name for name in STAGES if stage_inputs(before, name) != stage_inputs(after, name)]
    assert changed == list(STAGES[STAGES.index(first) :])


def test_a_test_of_refusals_is_an_input_of_its_content_from_generate_on(tmp_path: Path) -> None:
    """What `generate` depended on before stands first in its hash: those answers stay as they are."""
    plain, file = make_config(tmp_path), tmp_path / "x.csv"
    file.write_text("id,prompt,type,label\n1,A?,t,safe\n")
    asked = make_config(tmp_path, f"data.refusal_prompts={file}")
    first = {name: stage_inputs(asked, name) for name in STAGES}
    changed = [name for name in STAGES if stage_inputs(plain, name) != first[name]]
    assert changed == ["generate", "evaluate"]
    assert first["generate"].partition("+")[0] == stage_inputs(plain, "generate")
    file.write_text("id,prompt,type,label\n1,B?,t,safe\n")
    assert [name for name in STAGES if stage_inputs(asked, name) != first[name]] == ["generate", "evaluate"]
    both = make_config(tmp_path, f"data.refusal_prompts={file}", "generate.best_of.n=4")
    assert stage_inputs(both, "generate").split("+")[:2] == [stage_inputs(plain, "generate"), "best-of-4"]


def test_a_failure_is_written_down_and_the_next_run_goes_on_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(tmp_path)
    with monkeypatch.context() as patch:
        break_stage(patch, "reward", RuntimeError("the loss is not finite"))
        with pytest.raises(RuntimeError, match="not finite"):
            run(config)
    assert states(config) == {"sft": "complete", "reward": "failed"}
    assert (status(config)["state"], status(config)["message"]) == ("failed", "the loss is not finite")
    heard = run(config)
    assert heard[0] == ("skipped", "sft") and heard[1] == ("started", "reward")
    assert not (config.run_path / "reward.before-1").exists()  # same inputs: the stage goes on, nothing is set aside
    assert status(config)["state"] == "complete" and status(config)["message"] == ""


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_a_stop_is_called_interrupted_not_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    config = make_config(tmp_path)
    break_stage(monkeypatch, "ppo", error)
    with pytest.raises(type(error)):
        run(config)
    assert states(config)["ppo"] == "interrupted" and status(config)["state"] == "interrupted"
    stage = status(config)["stages"]["ppo"]
    assert (stage["step"], stage["total"], stage["message"]) == (1, 2, "half way")  # not how it was stopped
    assert stage["peak_memory"] > 10**6


def test_a_pause_is_told_at_once_and_written_when_the_step_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for in the second of two steps, when the first one's report is all that anybody has heard."""
    config, listener, stop = make_config(tmp_path), Recorder(), Stop()

    def body(config: object, data: object, stage: Any) -> None:
        with stage.stop.after_step():
            stage.report(1, 3, "one")
            stop.ask()
            assert listener.heard[-1] == ("pausing", "sft")
            assert pause_asked(tmp_path / "tiny") and status(config_of_run)["state"] == "running"
            stage.report(2, 3, "two")

    config_of_run = config
    monkeypatch.setattr(work, "run_sft", body)
    with pytest.raises(Paused):
        run_pipeline(config, listener, STAGES, stop)
    assert status(config)["state"] == "paused" and states(config) == {"sft": "paused"}
    stage = status(config)["stages"]["sft"]
    assert (stage["step"], stage["total"], stage["message"]) == (2, 3, "two")
    found = RunReader(config.run_path).status()
    assert found.current is not None and (found.current.name, found.current.state) == ("sft", "paused")
    assert standing(RunReader(config.run_path)).by == ""


def test_a_full_disk_is_a_failure_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config(tmp_path)
    break_stage(monkeypatch, "sft", OSError(errno.ENOSPC, "No space left on device", "sft/metrics.jsonl"))
    with pytest.raises(OSError, match="No space left"):
        run(config)
    assert "No space left on device" in status(config)["stages"]["sft"]["message"]


def test_a_stage_alone_needs_those_before_it(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    with pytest.raises(
        RunError, match=r"stage ppo needs stage sft, which is not complete\. Run `rlhf pipeline CONFIG`"
    ):
        run(config, "ppo")
    assert run(config, "sft")[0] == ("started", "sft")
    assert status(config)["state"] == "interrupted"  # four stages are still to do
    with pytest.raises(RunError, match="stage ppo needs stage reward"):
        run(config, "ppo")


def test_without_fine_tuning_no_stage_waits_for_it(tmp_path: Path) -> None:
    config = make_config(tmp_path, "sft=null", "generate.contenders=[base]")
    assert run(config, "reward")[-1][:2] == ("finished", "reward")
    with pytest.raises(RunError, match="stage generate needs stage ppo"):
        run(config, "generate")


def test_bad_data_and_unknown_models_leave_no_run_behind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        run(make_config(tmp_path / "runs", "data.prompts=gone.jsonl"))
    with pytest.raises(ModelNotFoundError, match="no such model"):
        run(make_config(tmp_path / "runs", "reward.model=nonsense"))
    assert not (tmp_path / "runs").exists()


def test_a_run_that_another_process_writes_is_left_as_it_is(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    run(config, "sft")
    before = (config.run_path / "config.yaml").read_text()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (config.run_path / "writer.pid").write_text(str(other.pid))
        with pytest.raises(RunError, match=f"process {other.pid} is already writing this run"):
            run(make_config(tmp_path, "seed=5"))
        other.communicate(b"\n")
    assert (config.run_path / "config.yaml").read_text() == before
    run(config)  # the other one has ended: its claim does not count any more
    assert (config.run_path / "writer.pid").read_text() == str(os.getpid())


def test_time_spent_adds_up_over_attempts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config(tmp_path)
    with monkeypatch.context() as patch:
        break_stage(patch, "sft", KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            run(config)
    RunDirectory(config.run_path).update_stage("sft", seconds=100.0)
    run(config, "sft")
    assert 100.0 <= status(config)["stages"]["sft"]["seconds"] < 110.0


def test_time_left_follows_the_pace_since_this_attempt_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resumed at step 10, then 2 steps in 4 s: 2 s a step. At step 12 of 20, 8 steps are left: 16 s."""
    from rlhf_core import pipeline

    now = [1000.0]
    monkeypatch.setattr(pipeline.time, "monotonic", lambda: now[0])

    def body(config: object, data: object, stage: Any) -> None:
        stage.report(10, 20, "resumed at step 10")
        now[0] += 4.0
        stage.report(12, 20, "")
        written.update(json.loads((stage.path.parent / "status.json").read_text())["stages"]["sft"])

    written: dict[str, Any] = {}
    monkeypatch.setattr(work, "run_sft", body)
    run(make_config(tmp_path), "sft")
    assert (written["step"], written["total"], written["eta_seconds"]) == (12, 20, 16.0)


@pytest.mark.parametrize(
    ("reward", "error", "message"),
    [
        ("{kind: python, name: f, function: 'no.such:thing'}", ScorerError, r"no\.such:thing: cannot be imported"),
        ("{kind: classifier, name: c, model: tiny, label: kind}", ModelError, "no such label .*Its labels: LABEL_0"),
        ("{kind: classifier, name: c, model: ./gone, label: x}", ModelNotFoundError, "no such model"),
    ],
)
def test_a_reward_that_cannot_be_had_is_found_before_any_work(
    reward: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    config = make_config(tmp_path, f"ppo.rewards=[{reward}]")
    with pytest.raises(error, match=message):
        run(config)
    assert not config.run_path.exists()
