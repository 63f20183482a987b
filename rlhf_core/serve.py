"""Start the dashboard, for one person or for a team, and a pipeline beside it when asked; stop both together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from rlhf_core.errors import ConfigError, RunError
from rlhf_core.runs.launch import spawn

HOST = "127.0.0.1"
GRACE = 60  # seconds a pipeline gets to finish its step after Ctrl-C, and then again to stop in the midst of it


@dataclass(frozen=True)
class Front:
    """Where the dashboard listens and for whom: one person at this machine, or a team that is let in by links.

    `url` is the address the team opens, where that is another one: a proxy's, say.

    Raises:
        ConfigError: open to a network without a team, or to one without an address to open.
    """

    port: int
    host: str = HOST
    team: bool = False
    url: str | None = None

    def __post_init__(self) -> None:
        if not self.team and (self.url is not None or self.host != HOST):
            raise ConfigError(
                f"without --team the dashboard has no accounts, and stays on {HOST}",
                value=self.url or self.host,
                remedy="Add --team, and let people in with `rlhf people invite`",
            )
        if self.url is None and not _on_this_machine(self.host):
            raise ConfigError("which address people open is not said", where=self.host, remedy="Add --url https://…")
        parts = urlsplit(self.address)
        if parts.scheme not in ("http", "https") or self.address != f"{parts.scheme}://{parts.netloc}":
            raise ConfigError(
                "not an address of a site", value=self.url, remedy="Expected https://host or https://host:port"
            )

    @property
    def address(self) -> str:
        """What people open."""
        return (self.url or f"http://{self.host}:{self.port}").rstrip("/").lower()

    @property
    def app(self) -> Path:
        """The script that Streamlit runs."""
        return Path(__file__).resolve().parent.parent / "dashboard" / ("team.py" if self.team else "local.py")

    def options(self) -> list[str]:
        """Return Streamlit's options. It answers to the name that people open alone, so no other site's name leads here."""
        listen = ["--server.address", self.host, "--server.port", str(self.port), "--server.headless", "true"]
        named = [urlsplit(self.address).hostname or HOST] if self.team else [HOST, "localhost"]
        hosts = [part for name in named for part in ("--server.allowedHosts", name)]
        return [*listen, *hosts, "--server.trustedUserHeaders", '{"x-rlhf-session": "session"}' if self.team else "{}"]


def serve(run_root: Path, front: Front, train: Path | None, overrides: Sequence[str]) -> int:
    """Serve the dashboard until Ctrl-C; return its exit status. The pipeline's output goes to `<run_root>/NAME.log`.

    Raises:
        RunError: the port is taken, or streamlit is not installed.
    """
    refuse_taken_port(front.port, front.host)
    if find_spec("streamlit") is None or not front.app.is_file():
        raise RunError("streamlit is not installed", remedy="Run `make setup`, or pip install -r requirements.txt")
    run_root.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, _interrupt)
    environment = {name: value for name, value in os.environ.items() if name != "RLHF_TEAM_URL"}
    environment |= {"RLHF_RUN_ROOT": str(run_root.resolve())} | ({"RLHF_TEAM_URL": front.address} if front.team else {})
    command = [sys.executable, "-m", "streamlit", "run", str(front.app), *front.options()]
    trainer = start_training(train, run_root, overrides) if train else None
    page = subprocess.Popen(command, cwd=front.app.parent.parent, env=environment)
    print(f"Dashboard: {front.address} (Ctrl-C stops it; the same command goes on where it was)", flush=True)
    if front.team:
        print(f"By invitation: rlhf people invite NAME --role owner --url {front.address}", flush=True)
    if front.address.startswith("http:") and not _on_this_machine(urlsplit(front.address).hostname or ""):
        print("Not encrypted: whoever is on the network can read along. docs/team.md says how to add TLS.", flush=True)
    try:
        return page.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        stop(page)
        if trainer:
            if trainer.poll() is None:
                print("Training finishes its step, which is kept (Ctrl-C stops it at once)", flush=True)
            stop(trainer)


def refuse_taken_port(port: int, host: str = HOST) -> None:
    """Raise when something already listens on the port, or the host is none of this machine's."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise RunError(
                f"port {port} is taken: {error.strerror}",
                where=host,
                remedy=f"Stop what uses it, or choose another: rlhf dashboard --port {port + 1} (make demo PORT={port + 1})",
            ) from error


def _on_this_machine(host: str) -> bool:
    """Say whether only this machine reaches an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def start_training(config: Path, run_root: Path, overrides: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start `rlhf pipeline --fetch` as a process of its own; closing the page does not stop it."""
    log = run_root / f"{config.stem}.log"
    settings = [f"run_root={run_root.resolve()}", *overrides]
    options = [part for setting in settings for part in ("--set", setting)]
    print(f"Training {config.stem} beside it; its output: {log}", flush=True)
    return spawn(["pipeline", str(config), "--fetch", *options], log)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to stop and wait; ask again after `GRACE` seconds or at Ctrl-C, and kill it if that is of no use."""
    for _ in range(2):
        if process.poll() is not None:
            return
        process.terminate()
        with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(GRACE)
    if process.poll() is None:
        process.kill()
        process.wait()


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
