"""Start the dashboard, and a pipeline beside it when asked; stop both together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from rlhf_core.errors import RunError

HOST = "127.0.0.1"
GRACE = 20  # seconds a pipeline gets to write its status after Ctrl-C


def serve(run_root: Path, port: int, train: Path | None, overrides: Sequence[str]) -> int:
    """Serve the dashboard until Ctrl-C; return its exit status. The pipeline's output goes to `<run_root>/NAME.log`.

    Raises:
        RunError: the port is taken, or streamlit is not installed.
    """
    refuse_taken_port(port)
    app = Path(__file__).resolve().parent.parent / "dashboard" / "app.py"
    if find_spec("streamlit") is None or not app.is_file():
        raise RunError("streamlit is not installed", remedy="Run `make setup`, or pip install -r requirements.txt")
    run_root.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, _interrupt)
    environment = os.environ | {"RLHF_RUN_ROOT": str(run_root.resolve())}
    command = [sys.executable, "-m", "streamlit", "run", str(app), "--server.address", HOST, "--server.port", str(port)]
    command += ["--server.headless", "true"]
    trainer = start_training(train, run_root, overrides) if train else None
    page = subprocess.Popen(command, cwd=app.parent.parent, env=environment)
    print(f"Dashboard: http://{HOST}:{port} (Ctrl-C stops it; the same command goes on where it was)", flush=True)
    try:
        return page.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        stop(page)
        if trainer:
            stop(trainer)


def refuse_taken_port(port: int) -> None:
    """Raise when something already listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise RunError(
                f"port {port} is taken: {error.strerror}",
                where=HOST,
                remedy=f"Stop what uses it, or choose another: rlhf dashboard --port {port + 1} (make demo PORT={port + 1})",
            ) from error


def start_training(config: Path, run_root: Path, overrides: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start `rlhf pipeline --fetch` as a process of its own; closing the page does not stop it."""
    log = run_root / f"{config.stem}.log"
    settings = [f"run_root={run_root.resolve()}", *overrides]
    options = [part for setting in settings for part in ("--set", setting)]
    command = [sys.executable, "-m", "rlhf_core", "pipeline", str(config), "--fetch", *options]
    print(f"Training {config.stem} beside it; its output: {log}", flush=True)
    with log.open("ab") as output:
        return subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to stop, wait, and kill it if it does not."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
