"""Do the intervals hold what they promise? Simulate votes with a known truth and count how often they do.

`make coverage` prints the coverage of every 95% interval, the false alarms of the stop rule when looked at after every
vote, and the power of what the planner asks for. `--quick` takes a tenth of the trials. Exits with 1 when an interval
covers less than it may, or there are too many false alarms.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil, sqrt
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from benchmarks.coverage_trials import SETTINGS, Setting

TRIALS = 4000
LOW, HIGH = 0.935, 0.965
AIMS = {"covers": 0.95, "at most": 0.05, "about": 0.80}
WITHIN, WIDE, SHORT = "within", "wider than needed", "MISSES"


@dataclass(frozen=True)
class Row:
    """How often a figure held in `trials` trials of a setting; `error` is twice the standard error of `rate`.

    Several figures of one trial that are of one kind count as their mean.
    """

    setting: str
    figure: str
    aim: str
    rate: float
    error: float
    trials: int
    reading: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all settings, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=TRIALS, help=f"trials per setting ({TRIALS})")
    parser.add_argument("--quick", action="store_true", help="a tenth of the trials")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the rows here too")
    chosen = parser.parse_args(arguments)
    rows = measure(SETTINGS, chosen.trials // 10 if chosen.quick else chosen.trials, chosen.seed)
    Console(width=140, markup=False, emoji=False).print(layout(rows))
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False) + "\n", "utf-8")
    return int(any(row.reading == SHORT for row in rows))


def measure(settings: Sequence[Setting], trials: int, seed: int) -> list[Row]:
    """Run every setting with a random stream of its own, so that one more changes none of the others."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    rows: list[Row] = []
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("coverage", total=sum(_trials(s, trials) for s in settings))
        for number, setting in enumerate(settings):
            rng = np.random.default_rng([seed, number])
            held: dict[str, list[float]] = {}
            for _ in range(_trials(setting, trials)):
                for figure, holds in setting.trial(rng).items():
                    held.setdefault(figure, []).append(holds)
                bar.advance(task)
            rows += [_row(setting, figure, results) for figure, results in held.items()]
    return rows


def reading(aim: str, figure: str, rate: float, error: float, label: str = "") -> str:
    """Say whether a rate is what it should be; what is for comparison is not judged, what is short may be labelled."""
    if figure.endswith("for comparison"):
        return ""
    if aim == "covers":
        return (label or SHORT) if rate < LOW else WIDE if rate > HIGH else WITHIN
    if aim == "at most":
        return SHORT if rate > AIMS[aim] else WITHIN
    return WITHIN if abs(rate - AIMS[aim]) <= 0.03 + error else SHORT


def layout(rows: Sequence[Row]) -> Table:
    """Return the table of all rows."""
    table = Table("setting", "figure", "should", "did, %", "±", "trials", "reading", box=None)
    for row in rows:
        should = f"{row.aim} {AIMS[row.aim]:.0%}"
        cells = (f"{100 * row.rate:.1f}", f"{100 * row.error:.1f}", f"{row.trials:,}")
        table.add_row(row.setting, row.figure, should, *cells, row.reading)
    return table


def _trials(setting: Setting, trials: int) -> int:
    return ceil(trials * setting.share)


def _row(setting: Setting, figure: str, results: list[float]) -> Row:
    rate, n = float(np.mean(results)), len(results)
    error = 2 * sqrt(max(float(np.var(results)), 1 / n) / n)
    said = reading(setting.aim, figure, rate, error, setting.label)
    return Row(setting.name, figure, setting.aim, rate, error, n, said)


if __name__ == "__main__":
    raise SystemExit(main())
