"""Turn the hh-rlhf preference pairs into the files of a pipeline: prompts.jsonl, rankings.jsonl, demonstrations.jsonl.

Usage: python scripts/hh_rlhf.py FOLDER --xstest FILE [--out data/hh-rlhf]
FOLDER holds helpful-base/ and harmless-base/; FILE is XSTest's CSV, which becomes refusal_prompts.jsonl.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rlhf_core.data.formats.hh_rlhf import (
    FILES,
    PPO_CATEGORY,
    ImportSettings,
    build_records,
    describe_dropped,
    read_comparisons,
)
from rlhf_core.data.formats.xstest import read_xstest
from rlhf_core.data.io import write_jsonl
from rlhf_core.errors import RlhfError


def main() -> int:
    """Read, write, and say what was left out and why."""
    arguments = _parser().parse_args()
    if arguments.folder is None:
        print("give the folder of the data set, or set RLHF_REAL_DATA to the folder it lies in", file=sys.stderr)
        return 2
    try:
        _convert(arguments)
    except RlhfError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _convert(arguments: argparse.Namespace) -> None:
    comparisons = []
    for category, name in FILES.items():
        if arguments.harmless_only and category != PPO_CATEGORY:
            continue
        found, dropped = read_comparisons(arguments.folder / name, category)
        comparisons += found
        print(f"{name}: {len(found)} comparisons", *describe_dropped(dropped), sep="\n  ")
    settings = ImportSettings(
        arguments.eval_prompts, arguments.max_prompt, arguments.max_response, arguments.max_turns, arguments.seed
    )
    tested = read_xstest(arguments.xstest) if arguments.xstest else []
    if not tested:
        print("no --xstest: run the pipeline with --set data.refusal_prompts=null")
    files = vars(build_records(comparisons, settings, tested)) | ({"refusal_prompts": tested} if tested else {})
    for name, rows in files.items():
        write_jsonl(arguments.out / f"{name}.jsonl", rows)
        print(f"{arguments.out / name}.jsonl: {len(rows)} rows")


def _parser() -> argparse.ArgumentParser:
    default, data = ImportSettings(), os.environ.get("RLHF_REAL_DATA")
    parser = argparse.ArgumentParser(description="hh-rlhf to prompts, rankings and demonstrations.")
    folder = Path(data) / "hh-rlhf" if data else None
    parser.add_argument("folder", type=Path, nargs="?", default=folder, help="default: $RLHF_REAL_DATA/hh-rlhf")
    tested = Path(data) / "xstest" / "xstest_prompts.csv" if data else None
    about = "a test of refusals, held out too; default: $RLHF_REAL_DATA/xstest/xstest_prompts.csv"
    parser.add_argument("--xstest", type=Path, metavar="FILE", default=tested, help=about)
    parser.add_argument(
        "--harmless-only", action="store_true", help="leave out helpful-base; prompts are harmless anyway"
    )
    parser.add_argument("--out", type=Path, default=Path("data/hh-rlhf"))
    parser.add_argument("--eval-prompts", type=int, default=default.eval_prompts, help="held out, harmless only")
    parser.add_argument("--max-prompt", type=int, default=default.max_prompt, help="words and signs of a conversation")
    parser.add_argument("--max-response", type=int, default=default.max_response, help="of a demonstration's reply")
    parser.add_argument("--max-turns", type=int, default=default.max_turns, help="a person's turns; 1: single-turn")
    parser.add_argument("--seed", type=int, default=default.seed)
    return parser


if __name__ == "__main__":
    sys.exit(main())
