"""Writing a run directory: whole lines, whole files, one writer; and readers at work in the meantime."""

from __future__ import annotations

import errno
import json
import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rlhf_core.errors import RunError
from rlhf_core.runs.directory import RunDirectory, StageDirectory, describe_environment, process_alive
from rlhf_core.runs.reader import RunReader


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    directory = RunDirectory(tmp_path / "demo")
    directory.create("name: demo\n", seed=3)
    return directory


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_creating_writes_configuration_and_environment(run: RunDirectory) -> None:
    assert (run.path / "config.yaml").read_text() == "name: demo\n"
    environment = json.loads((run.path / "env.json").read_text())
    assert environment["seed"] == 3 and environment["versions"]["torch"] and environment["command"].startswith("rlhf")


def test_the_environment_says_what_repeating_needs() -> None:
    found = describe_environment(0, "a card")
    assert found.keys() == {
        "commit", "command", "folder", "seed", "python", "versions", "platform", "cpu", "cores", "accelerator", "started",
    }  # fmt: skip
    assert found["accelerator"] == "a card"


def test_the_command_can_be_given_again_as_it_stands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.argv", ["/bin/rlhf", "ppo", "my run.yaml", "--set", "ppo.guards={kl_budget: 8}"])
    monkeypatch.chdir(tmp_path)
    found = describe_environment(0)
    assert found["command"] == "rlhf ppo 'my run.yaml' --set 'ppo.guards={kl_budget: 8}'"
    assert found["folder"] == str(tmp_path)


def test_status_is_merged_not_replaced(run: RunDirectory) -> None:
    assert run.read_status() == {"state": "new", "stages": {}}
    run.update_stage("sft", state="running", step=1)
    run.update_stage("sft", step=2)
    run.update(state="running")
    status = run.read_status()
    assert (status["stages"]["sft"]["state"], status["stages"]["sft"]["step"]) == ("running", 2)
    assert (status["state"], status["pid"]) == ("running", os.getpid())
    assert status["updated"] >= status["stages"]["sft"]["updated"]


def test_metrics_are_lines_with_step_and_time_and_no_nan(run: RunDirectory) -> None:
    stage = run.stage("ppo")
    stage.log(1, {"objective/kl": 0.5, "val/explained_variance": math.nan, "loss/policy": -math.inf})
    (row,) = rows(stage.path / "metrics.jsonl")
    assert row.pop("time") > 1.6e9
    assert row == {"step": 1, "objective/kl": 0.5, "val/explained_variance": None, "loss/policy": None}


def test_samples_keep_line_breaks_and_strange_text_on_one_line(run: RunDirectory) -> None:
    text = "one\ntwo\u2028three <b>👩‍🔬</b> שלום"
    run.stage("ppo").sample([{"step": 1, "text": text, "score": math.nan}])
    path = run.stage("ppo").path / "samples.jsonl"
    assert path.read_bytes().count(b"\n") == 1
    assert json.loads(path.read_bytes()) == {"step": 1, "text": text, "score": None}


def test_rewinding_drops_later_rows_and_a_torn_last_line(run: RunDirectory) -> None:
    stage = run.stage("sft")
    for step in range(5):
        stage.log(step, {"train/loss": 1.0})
    with (stage.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "train/lo')
    stage.rewind(2)
    assert [row["step"] for row in rows(stage.path / "metrics.jsonl")] == [0, 1, 2]
    stage.log(3, {"train/loss": 1.0})
    assert [row["step"] for row in rows(stage.path / "metrics.jsonl")] == [0, 1, 2, 3]


def test_rewinding_what_was_never_written_is_nothing(run: RunDirectory) -> None:
    run.stage("sft").rewind(0)
    assert not run.stage("sft").path.exists()


def test_a_full_disk_is_the_systems_own_error(run: RunDirectory) -> None:
    """/dev/full answers every write as a full disk would."""
    stage = run.stage("sft")
    stage.path.mkdir()
    (stage.path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(OSError) as caught:
        stage.log(1, {"train/loss": 1.0})
    assert caught.value.errno == errno.ENOSPC


def test_only_one_living_process_may_write(run: RunDirectory) -> None:
    run.lock()
    run.lock()  # one's own claim is no obstacle
    (run.path / "writer.pid").write_text(str(os.getppid()))
    with pytest.raises(RunError) as caught:
        run.lock()
    assert str(caught.value) == (
        f"{run.path}: process {os.getppid()} is already writing this run. "
        "Wait for it, stop it, or choose another name with --set name=…"
    )


@pytest.mark.parametrize("content", ["", "no number", str(2**22 + 1)])  # more than the kernel's largest process id
def test_a_claim_of_nobody_alive_is_taken_over(run: RunDirectory, content: str) -> None:
    (run.path / "writer.pid").write_text(content)
    run.lock()
    assert (run.path / "writer.pid").read_text() == str(os.getpid())


def test_processes_are_told_alive_from_dead() -> None:
    assert process_alive(os.getpid()) and process_alive(1)
    assert not process_alive(2**22 + 1)


def test_an_id_that_was_given_anew_and_a_process_nobody_waited_for_are_not_alive() -> None:
    now = time.time()
    assert process_alive(os.getpid(), now) and not process_alive(os.getpid(), now - 10**6)
    with subprocess.Popen([sys.executable, "-c", "pass"], stdout=subprocess.PIPE) as ended:
        assert ended.stdout and ended.stdout.read() == b""  # its end, before anybody waits for it
        until = time.monotonic() + 10
        while process_alive(ended.pid) and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(ended.pid, 0)  # the system still knows the id
        assert not process_alive(ended.pid)


def test_a_run_is_read_while_it_is_written(run: RunDirectory) -> None:
    """A reader that never rests beside a writer sees whole rows, in order, none twice, and a status that always parses."""
    total, stage = 300, run.stage("ppo")
    run.update(state="running")

    def write() -> None:
        for step in range(total):
            stage.log(step, {"objective/kl": float(step)})
            stage.sample([{"step": step, "prompt_id": "p", "prompt": "?", "text": "ü" * 50, "score": 0.0, "kl": 0.0}])
            if step % 10 == 0:
                run.update_stage("ppo", state="running", step=step, total=total)

    writer = threading.Thread(target=write)
    reader, seen = RunReader(run.path), 0
    writer.start()
    while writer.is_alive():
        steps = reader.metrics("ppo")["step"].tolist()
        assert steps == list(range(len(steps))) and len(steps) >= seen
        seen = len(steps)
        assert reader.status().state == "running"
        assert set(reader.samples()["text"]) <= {"ü" * 50}
    writer.join()
    assert reader.metrics("ppo")["step"].tolist() == list(range(total))
    assert len(reader.samples()) == total and reader.damaged_lines("ppo") == 0


def test_a_half_written_row_is_picked_up_when_it_is_whole(run: RunDirectory) -> None:
    stage, reader = run.stage("sft"), RunReader(run.path)
    stage.log(0, {"train/loss": 2.0})
    line = b'{"step": 1, "time": 5.0, "train/loss": 1.0}\n'
    for end in range(1, len(line)):
        with (stage.path / "metrics.jsonl").open("ab") as file:
            file.write(line[end - 1 : end])
        assert reader.metrics("sft")["step"].tolist() == [0]
    with (stage.path / "metrics.jsonl").open("ab") as file:
        file.write(line[-1:])
    assert reader.metrics("sft")["train/loss"].tolist() == [2.0, 1.0]
    assert reader.damaged_lines("sft") == 0


def test_a_stage_directory_knows_its_places(tmp_path: Path) -> None:
    stage = StageDirectory(tmp_path / "ppo")
    assert (stage.checkpoints, stage.model) == (tmp_path / "ppo" / "checkpoints", tmp_path / "ppo" / "model")
