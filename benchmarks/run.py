"""Measure ours and its peers in turn and print the ratios. `make bench` runs all of it; NAME picks rows by their beginning.

Rows: rollouts, ppo-full, ppo-default, linear-batch, linear-length, reward. Memory is the peak of each process. "At most" is the
ratio of an engine that would do the matrix products of our passes at this machine's peak and nothing else. Quote figures of one run
on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path

from benchmarks.measure import measure_in_turn
from benchmarks.options import dtype_of, new_parser
from benchmarks.quickstart import describe
from benchmarks.rows import all_rows
from benchmarks.table import layout, result
from benchmarks.work import Work
from rlhf_core.errors import RlhfError
from rlhf_core.models.sources import resolve


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen rows; return 1 when one of their targets was missed, as a command's exit status."""
    options = _parser().parse_args(arguments)
    if options.run:
        print(describe(options.run))
        if not options.names:
            return 0
    dtype = dtype_of(options)
    models = ("tiny", "tiny") if options.smoke else ("packaged:smollm2-135m-instruct", "packaged:minilm-l6")
    model, encoder = (str(resolve(source)) for source in models)
    base = Work(model=model, encoder=encoder, dtype=dtype, pairs=options.pairs)
    rows = [r for r in all_rows(base, smoke=options.smoke) if r.name.startswith(tuple(options.names) or "")]
    peers = options.peers if options.peers.is_file() else None
    if peers is None:
        print(f"no {options.peers}: ours alone. `make bench` makes the peers' environment.")
    found = measure_in_turn(
        [t for row in rows for t in (row.ours, row.other, row.peak) if t],
        1 if options.smoke else options.repeat,
        peers,
    )
    results = [result(row, found) for row in rows]
    print(
        f"\n{platform.processor() or platform.machine()}, {dtype}, {time.strftime('%Y-%m-%d')}\n{layout(rows, results)}"
    )
    if options.json:
        content = {"dtype": dtype, "platform": platform.platform(), "rows": results, "options": vars(options)}
        options.json.write_text(json.dumps(content, indent=1, default=_plain) + "\n", encoding="utf-8")
    return int(any(figures[met] is False for figures in results for met in ("speed_met", "memory_met")))


def _parser() -> argparse.ArgumentParser:
    parser = new_parser(__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="rows, by the beginning of their names; all without one"
    )
    parser.add_argument("--repeat", type=int, default=3, help="repetitions; the table shows their medians")
    parser.add_argument(
        "--pairs", default="", metavar="FILE", help="JSONL(.gz) of chosen and rejected, for reward training"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything that was measured")
    parser.add_argument(
        "--run", type=Path, metavar="RUN", help="say when this run's PPO reached +0.8; alone: only that"
    )
    parser.add_argument("--smoke", action="store_true", help="the tiny model once: shows that everything runs")
    return parser


def _plain(value: object) -> object:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RlhfError as error:
        sys.exit(f"error: {error}")
