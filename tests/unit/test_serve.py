"""Serving: a taken port is refused before anything starts, and what was started is stopped again."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlhf_core import serve as module
from rlhf_core.errors import ConfigError, RunError
from rlhf_core.serve import Front, refuse_taken_port, serve, start_training, stop


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as taken:
        taken.bind((module.HOST, 0))
        taken.listen()
        yield taken


@pytest.fixture(autouse=True)
def _signals_as_they_were() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


class FakeProcess:
    """Stands for a child: remembers its command, ends when told to or when waited for."""

    made: list[FakeProcess]

    def __init__(self, command: list[str], **options: Any) -> None:
        self.command, self.options, self.signals, self.status = command, options, [], None
        self.made.append(self)

    def poll(self) -> int | None:
        return self.status

    def wait(self, timeout: float | None = None) -> int:
        self.status = 0 if self.status is None else self.status
        return self.status

    def terminate(self) -> None:
        self.signals.append("terminate")
        self.status = -15


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[FakeProcess]:
    FakeProcess.made = []
    monkeypatch.setattr(module.subprocess, "Popen", FakeProcess)
    return FakeProcess.made


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((module.HOST, 0))
        return probe.getsockname()[1]


def test_a_taken_port_is_refused_with_the_way_out(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with pytest.raises(RunError) as caught:
        refuse_taken_port(port)
    assert str(caught.value) == (
        f"127.0.0.1: port {port} is taken: Address already in use. "
        f"Stop what uses it, or choose another: rlhf dashboard --port {port + 1} (make demo PORT={port + 1})"
    )


def test_a_free_port_is_accepted_and_left_free() -> None:
    port = free_port()
    refuse_taken_port(port)
    with socket.socket() as later:
        later.bind(("127.0.0.1", port))
        assert later.getsockname()[1] == port


def test_nothing_starts_when_the_port_is_taken(
    listener: socket.socket, processes: list[FakeProcess], tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="is taken"):
        serve(tmp_path / "runs", Front(listener.getsockname()[1]), Path("configs/tiny.yaml"), [])
    assert processes == [] and not (tmp_path / "runs").exists()


def test_missing_streamlit_is_said(
    monkeypatch: pytest.MonkeyPatch, processes: list[FakeProcess], tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(RunError, match=r"streamlit is not installed\. Run `make setup`"):
        serve(tmp_path, Front(free_port()), None, [])


def test_the_page_alone(
    processes: list[FakeProcess], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLHF_TEAM_URL", "https://left.over")
    port = free_port()
    assert serve(tmp_path / "runs", Front(port), None, []) == 0
    (page,) = processes
    assert page.command[:4] == [sys.executable, "-m", "streamlit", "run"]
    assert Path(page.command[4]).is_file() and Path(page.command[4]).name == "local.py"
    assert page.command[page.command.index("--server.address") + 1] == "127.0.0.1"  # never open to the network
    assert page.command[page.command.index("--server.port") + 1] == str(port)
    assert [page.command[n + 1] for n, part in enumerate(page.command) if part == "--server.allowedHosts"] == [
        "127.0.0.1",
        "localhost",
    ]
    assert page.options["env"]["RLHF_RUN_ROOT"] == str(tmp_path / "runs")
    assert "RLHF_TEAM_URL" not in page.options["env"]
    assert f"Dashboard: http://127.0.0.1:{port} (Ctrl-C stops it" in capsys.readouterr().out


def test_the_page_of_a_team(processes: list[FakeProcess], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    front = Front(free_port(), "0.0.0.0", team=True, url="https://RLHF.example/")
    serve(tmp_path, front, None, [])
    (page,) = processes
    assert Path(page.command[4]).name == "team.py" and Path(page.command[4]).is_file()
    options = dict(zip(page.command[5::2], page.command[6::2], strict=True))
    assert options["--server.address"] == "0.0.0.0" and options["--server.allowedHosts"] == "rlhf.example"
    assert options["--server.trustedUserHeaders"] == '{"x-rlhf-session": "session"}'
    assert page.options["env"]["RLHF_TEAM_URL"] == "https://rlhf.example"
    said = capsys.readouterr().out
    assert "rlhf people invite NAME --role owner --url https://rlhf.example" in said and "Not encrypted" not in said


def test_what_is_not_encrypted_is_said(
    processes: list[FakeProcess], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(tmp_path, Front(free_port(), "0.0.0.0", team=True, url="http://studio.example:8501"), None, [])
    assert "Not encrypted: whoever is on the network can read along." in capsys.readouterr().out
    serve(tmp_path, Front(free_port(), team=True), None, [])
    assert "Not encrypted" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "wanted", [{"host": "0.0.0.0"}, {"host": "192.0.2.1"}, {"host": "::"}, {"url": "https://rlhf.example"}]
)
def test_without_a_team_nobody_else_is_served(wanted: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"without --team the dashboard has no accounts, and stays on 127\.0\.0\.1"):
        Front(8501, **wanted)


def test_a_team_must_know_its_address() -> None:
    with pytest.raises(ConfigError, match=r"0\.0\.0\.0: which address people open is not said\. Add --url https://"):
        Front(8501, "0.0.0.0", team=True)
    assert Front(8501, "127.0.0.2", team=True).address == "http://127.0.0.2:8501"


@pytest.mark.parametrize("url", ["rlhf.example", "ftp://rlhf.example", "https://rlhf.example/studio", "https://"])
def test_an_address_is_a_whole_site(url: str) -> None:
    with pytest.raises(
        ConfigError, match=r"not an address of a site .found .*Expected https://host or https://host:port"
    ):
        Front(8501, team=True, url=url)


def test_the_page_with_training_stops_both(processes: list[FakeProcess], tmp_path: Path) -> None:
    serve(tmp_path, Front(free_port()), Path("configs/tiny.yaml"), ["seed=3"])
    trainer, _page = processes
    assert trainer.command[1:5] == ["-m", "rlhf_core", "pipeline", "configs/tiny.yaml"]
    assert trainer.command[5:] == ["--fetch", "--set", f"run_root={tmp_path}", "--set", "seed=3"]
    assert trainer.signals == ["terminate"]


def test_ctrl_c_stops_page_and_training(
    monkeypatch: pytest.MonkeyPatch, processes: list[FakeProcess], tmp_path: Path
) -> None:
    calls: list[FakeProcess] = []

    def first_wait_is_interrupted(self: FakeProcess, timeout: float | None = None) -> int:
        calls.append(self)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return 0

    monkeypatch.setattr(FakeProcess, "wait", first_wait_is_interrupted)
    assert serve(tmp_path, Front(free_port()), Path("configs/tiny.yaml"), []) == 0
    assert [process.signals for process in processes] == [["terminate"], ["terminate"]]


def test_training_writes_its_output_to_a_log(tmp_path: Path) -> None:
    """The real command on a configuration that does not exist: its message must end up in the log."""
    process = start_training(tmp_path / "gone.yaml", tmp_path, [])
    assert process.wait(120) == 1
    assert f"error: {tmp_path}/gone.yaml: no such file" in (tmp_path / "gone.log").read_text()


def test_stop_asks_first() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    stop(process)
    assert process.returncode == -signal.SIGTERM


def test_stop_kills_what_does_not_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE", 0.2)
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        stop(process)
    assert process.returncode == -signal.SIGKILL


def test_a_second_ctrl_c_asks_again_instead_of_waiting(processes: list[FakeProcess]) -> None:
    """The process under it has a step to finish, which somebody has no time for."""
    process = FakeProcess([])
    process.terminate = lambda: process.signals.append("terminate")  # type: ignore[method-assign]
    process.wait = lambda timeout=None: _second(process)  # type: ignore[method-assign]
    stop(process)  # type: ignore[arg-type]
    assert process.signals == ["terminate"] * 2 and process.status == -2


def _second(process: FakeProcess) -> int:
    if len(process.signals) == 1:
        raise KeyboardInterrupt
    process.status = -2
    return -2


def test_stop_leaves_a_finished_process_alone() -> None:
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    process.wait()
    stop(process)
    assert process.returncode == 3
