"""Processes that stand for runs' own: what a run's files say of one that sleeps."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from rlhf_core.data.io import write_json
from rlhf_core.runs.directory import RunDirectory

SLEEP = "import time; print('ready', flush=True); time.sleep(60)"
HEAR = """import signal, time
signal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))
print('ready', flush=True)
while True:
    time.sleep(0.1)
"""


@contextmanager
def sleeper(*words: str) -> Iterator[psutil.Process]:
    """A process that sleeps, with `words` in its command."""
    command = [sys.executable, "-c", SLEEP, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        try:
            yield psutil.Process(process.pid)
        finally:
            process.kill()


@contextmanager
def hearer() -> Iterator[subprocess.Popen[bytes]]:
    """A process that calls itself one of ours, and prints a line each time it is asked to stop."""
    with subprocess.Popen([sys.executable, "-c", HEAR, "rlhf_core"], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        try:
            yield process
        finally:
            process.kill()


def claim(run: RunDirectory, pid: int, at: float, state: str = "running") -> None:
    """As if process `pid` had written the status at a Unix time."""
    run.update(state=state)
    write_json(run.path / "status.json", run.read_status() | {"pid": pid, "updated": at})
