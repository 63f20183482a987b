"""Run pieces of work in turn, each in a process of its own, and keep its time and its peak memory."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.work import Work
from rlhf_core.errors import RunError

ROOT = Path(__file__).resolve().parents[1]
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True)
class Task:
    """A function of ours or of a peer (`ours.ppo:full`), and the work it is to do."""

    does: str
    work: Work

    @property
    def is_peer(self) -> bool:
        """Say whether it runs in the peers' environment."""
        return self.does.startswith("peers.")


@dataclass(frozen=True)
class Measurement:
    """Amount done (tokens, pairs), seconds it took, and the peak memory of its process in bytes."""

    amount: float
    seconds: float
    memory: float

    @property
    def rate(self) -> float:
        """Amount per second."""
        return self.amount / self.seconds


@dataclass(frozen=True)
class Summary:
    """Median, smallest and largest rate of the repetitions, and the median of their peak memory."""

    rate: float
    low: float
    high: float
    memory: float


def measure_in_turn(tasks: Iterable[Task], repeat: int, peers: Path | None) -> dict[Task, list[Measurement]]:
    """Do every task once, then all of them again, `repeat` times; without a peers' Python its tasks are left out."""
    pythons = {task: peers if task.is_peer else Path(sys.executable) for task in dict.fromkeys(tasks)}
    found: dict[Task, list[Measurement]] = {task: [] for task, python in pythons.items() if python}
    for number in range(repeat):
        for task in found:
            found[task].append(measure(task, str(pythons[task])))
            rate = f"{found[task][-1].rate:.1f} a second, {found[task][-1].memory / 2**30:.2f} GiB"
            print(
                f"{number + 1}/{repeat} {task.does} {task.work.batch} × ({task.work.prompt} + {task.work.response}): {rate}"
            )
    return found


def measure(task: Task, python: str) -> Measurement:
    """Do one task in a process of its own.

    Raises:
        RunError: the process failed; the message ends with the last lines it wrote.
    """
    command = [python, "-m", "benchmarks.child", task.does, json.dumps(asdict(task.work))]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | OFFLINE, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join(done.stderr.splitlines()[-15:])
        raise RunError(f"ended with status {done.returncode}:\n{last}", where=task.does)
    return Measurement(**json.loads(done.stdout.splitlines()[-1]))


def summarise(measurements: list[Measurement]) -> Summary:
    """Return the median and the range of the rates, and the median memory."""
    rates = [m.rate for m in measurements]
    return Summary(statistics.median(rates), min(rates), max(rates), statistics.median(m.memory for m in measurements))
