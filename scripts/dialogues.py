"""Turn dialogues with summaries (DialogSum, SAMSum) into the files of configs/detox-seq2seq.yaml: prompts and demonstrations.

Usage: python scripts/dialogues.py FILE... [--out data/dialogues]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rlhf_core.data.exchange.importing import ImportRequest, import_file
from rlhf_core.data.formats.dialogues import build_dialogues
from rlhf_core.data.io import read_jsonl, write_jsonl
from rlhf_core.data.records import Demonstration
from rlhf_core.errors import RlhfError


def main() -> int:
    """Read, write, and say what was left out."""
    arguments = _parser().parse_args()
    try:
        found = [one for file in arguments.files for one in read_dialogues(file)]
        prompts, shown = build_dialogues(found, arguments.eval_prompts, arguments.max_words, arguments.seed)
    except RlhfError as error:
        print(error, file=sys.stderr)
        return 1
    for name, rows in {"prompts": prompts, "demonstrations": shown}.items():
        write_jsonl(arguments.out / f"{name}.jsonl", rows)
        print(f"{arguments.out / name}.jsonl: {len(rows)} rows")
    print(f"left out, as longer than {arguments.max_words} words or there twice: {len(found) - len(prompts)}")
    return 0


def read_dialogues(file: Path) -> list[Demonstration]:
    """Return what `rlhf data import FILE --as demonstrations` makes of a file; says what it drops.

    Raises:
        DataError: as that command.
    """
    with TemporaryDirectory() as folder:
        out = Path(folder) / "demonstrations.jsonl"
        about = import_file(ImportRequest(file, "demonstrations", "dialogsum"), out)
        for line in about.describe()[1:]:
            print(f"{file}: {line}")
        return read_jsonl(out, Demonstration)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Dialogues with summaries to prompts and demonstrations.")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="JSONL, JSON, CSV or Parquet")
    parser.add_argument("--out", type=Path, default=Path("data/dialogues"))
    parser.add_argument("--eval-prompts", type=int, default=400, help="dialogues that are held out for judging")
    parser.add_argument("--max-words", type=int, default=250, help="longer dialogues are left out")
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    sys.exit(main())
