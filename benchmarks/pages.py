"""How long do the pages take? A run of a million steps × ten metrics, and a hundred runs with 100,000 votes; on this machine.

python -m benchmarks.pages            # seconds and megabytes, without a browser: what the server needs to answer
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np

from rlhf_core.process import peak_memory

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[1]
RUNS, VOTES, ROWS = 100, 100_000, 1_000_000
GROUP = ("policy/entropy", "policy/approxkl", "policy/clipfrac", "policy/ratio")
METRICS = (*GROUP, "objective/kl", "objective/scores", "loss/policy", "loss/value", "optim/grad_norm", "optim/lr")


def main() -> None:
    """Measure both, print a row each."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ |= {"RLHF_RUN_ROOT": str(root / "runs"), "RLHF_VOTES": str(root / "votes.db")}
        import dashboard.navigation  # noqa: F401 - a server has loaded its pages before it answers

        measure_curves(_write_long_run(root / "long"))
        _write_runs(root / "runs")
        measure_overview()
    print(f"memory at its highest: {peak_memory() / 1e9:.2f} GB")


def measure_curves(run: Path) -> None:
    """Print what opening a long run takes, at first and again, a change of smoothing, and what a chart receives."""
    from dashboard.services.catalogue import RunEntry
    from dashboard.services.curves import Drawing

    entry = RunEntry(run)
    size = (run / "ppo" / "metrics.jsonl").stat().st_size / 1e6
    print(f"{ROWS:,} steps × {len(METRICS)} metrics, {size:.0f} MB of JSON, {len(GROUP)} charts:")
    for name, drawing in (
        ("opened for the first time", Drawing(0.6)),
        ("opened again", Drawing(0.6)),
        ("smoothed more", Drawing(0.9)),
        ("a hundredth of it in full detail", Drawing(0.9, window=(500_000.0, 510_000.0))),
    ):
        seconds, largest = _timed(lambda drawing=drawing: _draw(entry, drawing))
        print(f"  {name}: {seconds:.2f} s, a chart receives at most {largest / 1e6:.2f} MB")


def measure_overview() -> None:
    """Print what the first page takes, at first and again."""
    print(f"{RUNS} runs, {VOTES:,} votes:")
    for name in ("the first page, for the first time", "again"):
        seconds, sentence = _timed(_overview)
        print(f"  {name}: {seconds:.2f} s ({sentence})")


def _draw(entry: Any, drawing: Any) -> int:
    """Everything the Training page asks for; return the size of the largest figure in bytes."""
    from dashboard.curve_chart import draw_curves
    from dashboard.palette import LIGHT
    from dashboard.services import curve_names, curves
    from dashboard.services.health import findings

    findings(entry, "ppo")
    curve_names.logged([entry], "ppo")
    curves.reach([entry], "ppo", "step")
    figures = (draw_curves(curves.build_series([entry], "ppo", name, drawing), LIGHT) for name in GROUP)
    return max(len(figure.to_json() or "") for figure in figures)


def _overview() -> str:
    from dashboard.services.catalogue import first_choice, list_entries
    from dashboard.services.headline import build_headline
    from dashboard.services.judged import results_of_run
    from dashboard.services.settings import read_settings

    settings = read_settings()
    entries = list_entries(settings)
    for entry in entries:
        entry.reader.status()
    chosen = entries[first_choice(entries)]
    return build_headline(chosen, results_of_run(settings, chosen)).people


def _write_long_run(run: Path) -> Path:
    heights = np.random.default_rng(0).normal(size=(ROWS, len(METRICS))).tolist()
    (run / "ppo").mkdir(parents=True)
    (run / "status.json").write_text("{}", encoding="utf-8")
    with (run / "ppo" / "metrics.jsonl").open("w", encoding="utf-8") as file:
        for step, row in enumerate(heights):
            values = dict(zip(METRICS, row, strict=True))
            file.write(json.dumps({"step": step, "time": 1.7e9 + step / 2} | values) + "\n")
    return run


def _write_runs(root: Path) -> None:
    """Copy the recorded run, as runs of one's own, and give each its share of the votes."""
    from dashboard.services.catalogue import list_entries
    from dashboard.services.settings import read_settings
    from dashboard.services.voting import open_task

    for n in range(RUNS):
        run = shutil.copytree(ROOT / "sample_data" / "recorded_run", root / f"run-{n:03d}")
        for name in ("votes.jsonl", "votes_rule.md"):
            (run / name).unlink(missing_ok=True)
        status = json.loads((run / "status.json").read_text(encoding="utf-8")) | {"recorded": False}
        (run / "status.json").write_text(json.dumps(status), encoding="utf-8")
    settings = read_settings()
    tasks = [open_task(settings, entry) for entry in list_entries(settings) if not entry.recorded]
    _vote(settings.votes, tasks)


def _vote(path: str, tasks: list[int]) -> None:
    """Store votes straight into the tables: `VoteStore` takes a millisecond for each, which is not what is measured here."""
    rng, number, now = np.random.default_rng(0), 0, "2026-01-01T00:00:00.000Z"
    with sqlite3.connect(path) as database:
        for task in tasks:
            items = [row[0] for row in database.execute("select id from items where task_id = ?", (task,))]
            for n in range(VOTES // len(tasks)):
                number += 1
                item, who = items[n % len(items)], f"labeller {n // len(items)}"
                shown = (number, f"token {number}", item, who, 1, 0, "01", 1, now)
                columns = "id, token, item_id, labeller, showing, repeats, shown, instructions_id, created_at"
                database.execute(f"insert into assignments ({columns}) values (?,?,?,?,?,?,?,?,?)", shown)
                columns = "id, assignment_id, action, reading_seconds, reason, simulated, created_at"
                vote = (number, number, "vote", 1.0, "", 0, now)
                database.execute(f"insert into votes ({columns}) values (?,?,?,?,?,?,?)", vote)
                verdict = (number, "overall", str(rng.choice(["a", "b", "tie"])))
                database.execute("insert into verdicts (vote_id, criterion, verdict) values (?,?,?)", verdict)


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()
