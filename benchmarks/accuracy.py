"""Does our reward model learn as much as TRL's from the same pairs? `python -m benchmarks.accuracy` trains both, seed by seed.

Every seed has a split by prompt, an order and a head of its own; both see every pair once, at the same rate and batch size.
Asked for: the same accuracy within a point, over three seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import ROOT, Task, measure
from benchmarks.options import dtype_of, new_parser
from benchmarks.work import Work
from rlhf_core.data.io import read_jsonl
from rlhf_core.data.records import Ranking
from rlhf_core.data.splits import split_by_prompt
from rlhf_core.errors import RlhfError, RunError
from rlhf_core.models.sources import resolve

RANKINGS = ROOT / "sample_data" / "rankings.jsonl"
BATCH, HELD_OUT = 16, 0.2
SIDES = ("ours", "peers")
ASKED = 0.01


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and compare; return 1 when the mean accuracies are further apart than asked, as a command's exit status."""
    options = _parser().parse_args(arguments)
    if not options.peers.is_file():
        raise RunError("there is no such Python", where="--peers", value=options.peers, remedy="`make bench` makes it")
    rankings, encoder, dtype = read_jsonl(options.rankings, Ranking), str(resolve(options.encoder)), dtype_of(options)
    found: dict[str, list[float]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.seeds):
            work = prepare(Path(folder), rankings, encoder, seed, dtype)
            for side in SIDES:
                python = str(options.peers) if side == "peers" else sys.executable
                found[side].append(measure(Task(f"{side}.reward:accuracy", work), python).amount)
            ours, theirs = (found[side][-1] for side in SIDES)
            print(
                f"seed {seed}, {dtype}: {work.steps * BATCH} pairs, ours {ours:.3f}, TRL {theirs:.3f}, {ours - theirs:+.3f}",
                flush=True,
            )
    apart = [ours - theirs for ours, theirs in zip(*found.values(), strict=True)]
    spread = f" ± {statistics.stdev(apart):.3f} (standard deviation of {len(apart)} seeds)" if len(apart) > 1 else ""
    print(f"ours − TRL: {statistics.mean(apart):+.3f}{spread}")
    return int(abs(statistics.mean(apart)) > ASKED)


def prepare(folder: Path, rankings: Sequence[Ranking], encoder: str, seed: int, dtype: str) -> Work:
    """Write the pairs of one split into two files and return the work on them; pairs that fill no batch are left out."""
    parts = split_by_prompt(rankings, [r.opening for r in rankings], HELD_OUT, seed)
    files = [folder / f"{name}-{seed}.jsonl" for name in ("train", "held-out")]
    for file, part in zip(files, parts, strict=True):
        rows = [pair for ranking in part for pair in pairs_of(ranking)]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    steps = sum(len(r.pairs()) for r in parts[0]) // BATCH
    return Work("", encoder, dtype, BATCH, steps=steps, pairs=str(files[0]), held_out=str(files[1]), seed=seed)


def pairs_of(ranking: Ranking) -> list[dict[str, str]]:
    """Return every untied pair of a ranked prompt as two texts that begin with the prompt."""
    start = f"{ranking.transcript}\n"
    return [{"chosen": start + better, "rejected": start + worse} for better, worse in ranking.pairs()]


def _parser() -> argparse.ArgumentParser:
    parser = new_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=3, choices=range(1, 101), metavar="N", help="how many, from 1")
    parser.add_argument("--rankings", type=Path, default=RANKINGS, metavar="FILE", help="ranked prompts, JSONL")
    parser.add_argument("--encoder", default="packaged:minilm-l6")
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RlhfError as error:
        sys.exit(f"error: {error}")
