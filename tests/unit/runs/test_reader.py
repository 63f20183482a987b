"""The reader meets runs that are complete, being written, torn, rewound and damaged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rlhf_core.data.io import write_json
from rlhf_core.errors import DataError, RunError
from rlhf_core.runs.directory import RunDirectory
from rlhf_core.runs.reader import RunReader, list_runs
from tests.run_factory import write_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory with nothing in it but a configuration."""
    RunDirectory(tmp_path / "demo").create("name: demo\n", seed=0)
    return tmp_path / "demo"


def dead_pid() -> int:
    """The id of a process that has just ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def set_status(run: Path, **fields: object) -> None:
    write_json(run / "status.json", {"state": "running", "pid": os.getpid(), "stages": {}} | fields)


def test_a_new_run_waits_in_every_stage(run: Path) -> None:
    status = RunReader(run).status()
    assert status.state == "new"
    assert [(stage.name, stage.state) for stage in status.stages] == [
        (name, "waiting") for name in ("sft", "reward", "ppo", "generate", "evaluate")
    ]
    assert status.current is None and status.eta_seconds is None


def test_a_complete_run_reads_back_whole(tmp_path: Path) -> None:
    reader = RunReader(write_run(tmp_path / "done"))
    assert {stage.state for stage in reader.status().stages} == {"complete"}
    assert reader.contenders() == ["base", "sft", "tuned"]
    assert len(reader.completions("tuned")) == 12  # the factory's twelve prompts
    assert reader.environment["seed"] == 0
    assert reader.config()["name"] == "done"
    assert set(reader.samples().columns) == {"step", "prompt_id", "prompt", "text", "score", "kl"}


def test_a_dead_writer_means_interrupted(run: Path) -> None:
    set_status(
        run, pid=dead_pid(), stages={"sft": {"state": "complete"}, "ppo": {"state": "running", "eta_seconds": 9}}
    )
    status = RunReader(run).status()
    states = {stage.name: stage.state for stage in status.stages}
    assert (status.state, states["sft"], states["ppo"]) == ("interrupted", "complete", "interrupted")
    assert status.eta_seconds is None  # nothing runs, so nothing is left


def test_a_live_writer_means_running_and_time_left_goes_down(run: Path) -> None:
    # The writer said "60 s left" 20 s ago: 40 s are left now.
    stage = {"state": "running", "step": 3, "total": 12, "eta_seconds": 60.0, "updated": time.time() - 20}
    set_status(run, stages={"ppo": stage})
    status = RunReader(run).status()
    assert status.state == "running"
    assert status.current is not None and status.current.progress == 0.25  # 3/12
    assert status.eta_seconds == pytest.approx(40.0, abs=1.0)


def test_time_left_never_goes_below_zero(run: Path) -> None:
    stage = {"state": "running", "step": 3, "total": 12, "eta_seconds": 5.0, "updated": time.time() - 20}
    set_status(run, stages={"ppo": stage})
    assert RunReader(run).status().eta_seconds == 0.0


def test_a_recorded_run_is_never_called_interrupted(run: Path) -> None:
    set_status(run, pid=dead_pid(), recorded=True)
    status = RunReader(run).status()
    assert (status.state, status.recorded) == ("running", True)


def test_damaged_status_names_file_and_remedy(run: Path) -> None:
    (run / "status.json").write_text('{"state": "run')
    with pytest.raises(RunError, match=r"status\.json: not JSON: .*Run the stage that writes it again"):
        RunReader(run).status()


def test_status_of_the_wrong_shape_is_refused(run: Path) -> None:
    set_status(run, stages={"ppo": "running"})
    with pytest.raises(RunError, match=r"status\.json: `stages` is not an object of objects"):
        RunReader(run).status()


def test_json_that_is_not_an_object_is_refused(run: Path) -> None:
    write_json(run / "evaluation" / "scores.json", [1, 2])
    with pytest.raises(RunError, match=r"scores\.json: expected a JSON object \(found \[1, 2\]\)"):
        RunReader(run).evaluation("scores")


def test_an_evaluation_not_yet_written_is_none(run: Path) -> None:
    assert RunReader(run).evaluation("scores") is None


def test_config_that_is_not_yaml_is_refused(run: Path) -> None:
    (run / "config.yaml").write_text("a: [1")
    with pytest.raises(RunError, match=r"config\.yaml: not YAML"):
        RunReader(run).config()


def test_a_missing_run_says_how_to_list_runs(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no such run\. `rlhf runs` lists the runs"):
        RunReader(tmp_path / "none")


def test_an_unknown_stage_names_the_known_ones(run: Path) -> None:
    with pytest.raises(RunError, match=r"no such stage \(found 'dpo'\)\. Stages: pretrain, sft, reward, ppo"):
        RunReader(run).metrics("dpo")


def test_a_damaged_completion_names_file_line_and_field(run: Path) -> None:
    (run / "completions").mkdir()
    (run / "completions" / "base.jsonl").write_text(json.dumps({"prompt_id": "p1", "prompt": "Hi"}) + "\n")
    with pytest.raises(DataError, match=r"base\.jsonl:1: contender: Field required"):
        RunReader(run).completions("base")


def test_metrics_of_a_stage_that_has_not_begun_are_empty(run: Path) -> None:
    frame = RunReader(run).metrics("ppo")
    assert frame.empty and list(frame.columns) == ["step", "time"]


def test_metrics_are_numbers_and_absent_ones_are_nan(run: Path) -> None:
    stage = RunDirectory(run).stage("ppo")
    stage.log(1, {"objective/kl": 0.5})
    stage.log(2, {"objective/kl": None, "eval/score": 1.25})
    frame = RunReader(run).metrics("ppo")
    assert frame["step"].tolist() == [1, 2]
    assert frame["objective/kl"].isna().tolist() == [False, True]
    assert frame["eval/score"].tolist()[1] == 1.25


def test_checkpoints_are_the_numbers_at_the_end_of_their_names(run: Path) -> None:
    for name in ("step-000004", "step-000010", "latest"):
        (run / "ppo" / "checkpoints" / name).mkdir(parents=True)
    assert RunReader(run).checkpoints("ppo") == [4, 10]
    assert RunReader(run).checkpoints("sft") == []


def test_runs_are_listed_newest_first_and_other_folders_left_out(tmp_path: Path) -> None:
    for age, name in ((50, "older"), (5, "newer")):
        RunDirectory(tmp_path / name).create("name: x\n", seed=0)
        os.utime(tmp_path / name / "config.yaml", (time.time() - age,) * 2)
    (tmp_path / "notes").mkdir()
    assert [path.name for path in list_runs(tmp_path)] == ["newer", "older"]
    assert list_runs(tmp_path / "nowhere") == []
