"""Many labellers at once: is every vote there, none doubled, no item judged too often, and how long does a click take?

python -m benchmarks.voting votes.db                                 # 50 labellers, two minutes
python -m benchmarks.voting postgresql://user@host/db --seconds 30
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rlhf_core.data.records import ContenderCompletion
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import TaskDesign, build_task

OVERLAP, ITEMS = 3, 3_000
PAUSE = 1.0  # mean seconds between an item's appearance and the verdict: faster than anybody reads
PROCESSES = 2  # a dashboard, and another beside it
LIMIT = 0.5  # seconds that 95 of 100 clicks may take


@dataclass(frozen=True)
class Load:
    """What was seen: `p50`, `p95` and `longest` are seconds for a vote and the next item together."""

    labellers: int
    seconds: float
    acknowledged: int
    stored: int
    lost: int
    doubled: int
    exceeded: int
    p50: float
    p95: float
    longest: float

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, doubled or judged too often, and clicks were answered in time."""
        return not (self.lost or self.doubled or self.exceeded) and self.p95 <= LIMIT


def measure(url: str, labellers: int, seconds: float) -> Load:
    """Let labellers vote, spread over processes, and compare what they were told with what is stored."""
    with closing(VoteStore(url)) as store:
        task = store.ensure_task(_task(seed=time.time_ns() % 1_000_000))
    names = [f"labeller {n}" for n in range(labellers)]
    shares = [(url, task, names[n::PROCESSES], time.time() + seconds) for n in range(PROCESSES)]
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        done = [row for share in pool.map(_work, shares) for row in share]
    told = [vote_id for vote_id, _ in done]
    waits = np.array([wait for _, wait in done])
    with closing(VoteStore(url)) as store:
        frame, log = store.votes(task), store.log(task)
    return Load(
        labellers=labellers,
        seconds=seconds,
        acknowledged=len(told),
        stored=len(log),
        lost=len(set(told) - set(log["vote_id"])),
        doubled=int(frame.duplicated(["item_id", "labeller"]).sum()) + len(log) - len(set(told)),
        exceeded=int((frame.groupby("item_id").size() > OVERLAP).sum()),
        p50=float(np.quantile(waits, 0.5)),
        p95=float(np.quantile(waits, 0.95)),
        longest=float(waits.max()),
    )


def _work(share: tuple[str, int, Sequence[str], float]) -> list[tuple[int, float]]:
    """(id, seconds) of each vote that a process's labellers were told is recorded."""
    url, task, names, until = share
    with closing(VoteStore(url)) as store, ThreadPoolExecutor(len(names)) as threads:
        jobs = [threads.submit(_label, store, task, name, until) for name in names]
        return [row for job in jobs for row in job.result()]


def _label(store: VoteStore, task: int, name: str, until: float) -> list[tuple[int, float]]:
    drawn, done = random.Random(name), []
    item = store.next_item(task, name)
    while item is not None and time.time() < until:
        time.sleep(drawn.expovariate(1 / PAUSE))
        started = time.perf_counter()
        vote_id = store.vote(item.token, drawn.choice(["a", "b", "tie"]), reading_seconds=1.0)
        item = store.next_item(task, name)
        done.append((vote_id, time.perf_counter() - started))
    return done


def _task(seed: int) -> Any:
    sides = [
        [
            ContenderCompletion(
                prompt_id=f"p{n}", prompt=f"Question {n}?", category="", contender=name, text=f"{name} {n}", tokens=2,
                finished=True,
            )
            for n in range(ITEMS)
        ]
        for name in ("old", "new")
    ]  # fmt: skip
    return build_task("load", sides, "Choose the better answer.", seed, TaskDesign(overlap=OVERLAP))


def main() -> int:
    """Measure, print, and exit with 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="path or URL of the vote store to fill")
    parser.add_argument("--labellers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120.0)
    arguments = parser.parse_args()
    load = measure(arguments.url, arguments.labellers, arguments.seconds)
    print(json.dumps(asdict(load) | {"sound": load.sound}, indent=2))
    return 0 if load.sound else 1


if __name__ == "__main__":
    raise SystemExit(main())
