"""Runs started, asked to stop and started again: with which words, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rlhf_core.config import PipelineConfig, load_config
from rlhf_core.data.io import parse_json, write_json
from rlhf_core.errors import RunError
from rlhf_core.runs import launch
from rlhf_core.runs.directory import RunDirectory
from rlhf_core.runs.launch import free_name, load_run_config, log_tail, pause, resume, start, stop_now
from rlhf_core.runs.reader import RunReader
from rlhf_core.runs.standing import standing
from tests.processes import SLEEP, claim, hearer, sleeper

ROOT = Path(__file__).resolve().parents[3]


def make_config(root: Path, *overrides: str) -> PipelineConfig:
    return load_config(ROOT / "configs" / "tiny.yaml", [f"run_root={root}", *overrides])


def test_a_process_that_is_no_command_of_ours_is_never_signalled(run: RunDirectory) -> None:
    with sleeper("something", "else") as process:
        claim(run, process.pid, time.time())
        with pytest.raises(RunError, match="no process is at work"):
            pause(run.path)
        assert process.is_running() and not (run.path / "pause.json").exists()


def test_a_lock_of_a_process_whose_id_was_given_anew_does_not_count(run: RunDirectory) -> None:
    with sleeper() as process:
        owner = run.path / "writer.pid"
        owner.write_text(str(process.pid))
        with pytest.raises(RunError, match="is already writing this run"):
            run.lock()
        os.utime(owner, (time.time() - 3600,) * 2)
        run.lock()
        assert owner.read_text() == str(os.getpid())


def test_a_pause_asked_for_twice_is_one_and_what_hurries_it_is_another_button(run: RunDirectory) -> None:
    """Of two clicks the second must not give up the step that the first one waits for."""
    with hearer() as process:
        assert process.stdout
        claim(run, process.pid, time.time())
        pause(run.path, "Ana")
        assert process.stdout.readline() == b"asked\n"
        before = (run.path / "pause.json").read_bytes()
        pause(run.path, "Ben")
        stop_now(run.path)
        assert process.stdout.readline() == b"asked\n"
        process.kill()
        assert process.stdout.read() == b""  # two signals, not three
    assert (run.path / "pause.json").read_bytes() == before
    with pytest.raises(RunError, match="no process is at work on this run"):
        stop_now(run.path)


def test_another_user_s_process_is_not_asked_and_the_run_not_called_pausing(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: psutil.Process) -> None:
        raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(psutil.Process, "terminate", refused)
    with sleeper("rlhf_core") as process:
        claim(run, process.pid, time.time())
        with pytest.raises(RunError, match=f"process {process.pid} belongs to another user .* Ask them to stop it"):
            pause(run.path)
        assert standing(RunReader(run.path)).state == "running"


class Spawned:
    """Stands for processes that are started: writes down their arguments and folders, and is a sleeping one each time."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.folders: list[Path | None] = []
        self.made: list[subprocess.Popen[bytes]] = []

    def __call__(self, arguments: list[str], log: Path, folder: Path | None) -> subprocess.Popen[bytes]:
        self.asked.append(arguments)
        self.folders.append(folder)
        command = [sys.executable, "-c", SLEEP, "rlhf_core"]
        self.made.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        return self.made[-1]


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spawned]:
    spawned = Spawned()
    monkeypatch.setattr(launch, "spawn", spawned)
    yield spawned
    for process in spawned.made:
        process.kill()
        process.wait(10)


def test_a_start_runs_the_pipeline_on_the_resolved_configuration(tmp_path: Path, spawned: Spawned) -> None:
    config = make_config(tmp_path / "runs", "name='7'")
    path = start(config, "Ana")
    assert path == tmp_path / "runs" / "7" and (path / "config.yaml").read_text() == config.to_yaml()
    assert spawned.asked == [
        [
            "pipeline", "--fetch", str(path / "config.yaml"),
            "--set", f'run_root="{tmp_path / "runs"}"', "--set", 'name="7"',
        ]
    ]  # fmt: skip
    again = load_config(path / "config.yaml", spawned.asked[0][4::2])
    assert again == config  # a name of digits stays a name
    launched = parse_json((path / "launch.json").read_bytes())
    assert (launched["pid"], launched["by"]) == (spawned.made[0].pid, "Ana")
    assert standing(RunReader(path)).state == "starting"


def test_relative_paths_of_a_run_are_those_of_the_working_directory(
    tmp_path: Path, spawned: Spawned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--set data.prompts=a.jsonl` is kept as it was given, and would else be looked for in the run directory."""
    monkeypatch.chdir(tmp_path)
    path = start(make_config(tmp_path / "runs", "data.prompts=a.jsonl", "reward.model=./b"))
    assert spawned.asked[0][-3::2] == [f'data.prompts="{tmp_path}/a.jsonl"', f'reward.model="{tmp_path}/b"']
    config = load_run_config(path)
    assert (config.reward.model, config.policy.model) == (str(tmp_path / "b"), "tiny")
    assert config.data.prompts == tmp_path / "a.jsonl" and config.data.rankings.is_file()
    assert load_config(path / "config.yaml").data.prompts == path / "a.jsonl"


def test_relative_paths_of_a_run_begun_in_a_terminal_are_those_of_its_folder(run: RunDirectory, tmp_path: Path) -> None:
    """Whatever folder the dashboard was started in."""
    config = make_config(tmp_path, "data.prompts=a.jsonl")
    run.create(config.to_yaml(), seed=0)
    write_json(run.path / "env.json", {"folder": "/somewhere/else"})
    assert load_run_config(run.path).data.prompts == Path("/somewhere/else/a.jsonl")


def test_two_starts_by_a_double_click_are_one_run(tmp_path: Path, spawned: Spawned) -> None:
    config = make_config(tmp_path)
    paths: list[Path] = []
    clicks = [threading.Thread(target=lambda: paths.append(start(config))) for _ in range(2)]
    for click in clicks:
        click.start()
    for click in clicks:
        click.join()
    assert paths == [tmp_path / "tiny"] * 2 and len(spawned.made) == 1


def test_two_resumes_by_a_double_click_are_one_process(run: RunDirectory, spawned: Spawned) -> None:
    resume(run.path)
    resume(run.path)
    assert len(spawned.made) == 1


def test_a_later_round_goes_on_with_its_own_command_where_that_was_given(
    run: RunDirectory, spawned: Spawned, tmp_path: Path
) -> None:
    write_json(run.path / "lineage.json", {})
    command = "rlhf round 'runs/my first' --simulated --set 'ppo.guards={kl_budget: 8}'"
    write_json(run.path / "env.json", {"command": command, "folder": str(tmp_path)})
    resume(run.path, "Ana")
    assert spawned.asked == [["round", "runs/my first", "--simulated", "--set", "ppo.guards={kl_budget: 8}"]]
    assert spawned.folders == [tmp_path]
    assert parse_json((run.path / "launch.json").read_bytes())["by"] == "Ana"


def test_a_later_round_that_does_not_say_where_it_was_started_shows_its_command(run: RunDirectory) -> None:
    """As runs of earlier versions."""
    write_json(run.path / "lineage.json", {})
    write_json(run.path / "env.json", {"command": "rlhf round runs/first"})
    with pytest.raises(RunError, match=r"where its command was given\. Run `rlhf round runs/first` there"):
        resume(run.path)


def test_a_round_whose_folder_is_gone_cannot_be_started(run: RunDirectory, tmp_path: Path) -> None:
    write_json(run.path / "lineage.json", {})
    write_json(run.path / "env.json", {"command": "rlhf round a", "folder": str(tmp_path / "gone")})
    with pytest.raises(RunError, match=r"gone: cannot be started: No such file or directory"):
        resume(run.path)


def test_a_name_that_is_taken_is_refused_and_what_is_there_is_kept(tmp_path: Path, spawned: Spawned) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.yaml").write_text("mine")
    (tmp_path / "tiny-2").mkdir()
    with pytest.raises(RunError) as caught:
        start(make_config(tmp_path))
    assert str(caught.value) == (
        f"{tmp_path}/tiny: a run of this name is there already. Resume that one, or choose another name, such as tiny-3"
    )
    assert (tmp_path / "tiny" / "config.yaml").read_text() == "mine" and not spawned.made


def test_another_configuration_of_the_same_name_is_refused_while_the_first_is_at_work(
    tmp_path: Path, spawned: Spawned
) -> None:
    start(make_config(tmp_path))
    with pytest.raises(RunError, match="a run of this name is there already"):
        start(make_config(tmp_path, "seed=3"))
    assert len(spawned.made) == 1


def test_a_run_root_that_is_a_file_is_said(tmp_path: Path, spawned: Spawned) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(RunError, match=r"tiny: (cannot be written|a run of this name)"):
        start(make_config(tmp_path / "runs" / "below"))
    assert not spawned.made


@pytest.mark.parametrize(
    ("taken", "free"),
    [([], "a"), (["a"], "a-2"), (["a", "a-2"], "a-3"), (["a-9"], "a"), (["a", "a-2", "a-4"], "a-3")],
)
def test_a_free_name(tmp_path: Path, taken: list[str], free: str) -> None:
    for name in taken:
        (tmp_path / name).mkdir()
    assert free_name(tmp_path, "a") == free


def test_a_numbered_name_counts_on(tmp_path: Path) -> None:
    (tmp_path / "a-2").mkdir()
    assert free_name(tmp_path, "a-2") == "a-3"


def test_the_end_of_a_log_is_its_last_lines_whatever_they_are(tmp_path: Path) -> None:
    (tmp_path / "tiny.log").write_bytes(b"first\n" * 20_000 + b"\xff\n\nlast\n")
    assert log_tail(tmp_path / "tiny", 2) == ["\ufffd", "last"]
    assert log_tail(tmp_path / "other", 2) == []
