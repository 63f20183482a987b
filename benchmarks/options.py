"""What the measurements against peers are all told: the peers' Python and the type of numbers."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import ROOT

PEERS = ROOT / ".venv-peers" / "bin" / "python"
FAST = "from rlhf_core.models.device import choose_dtype; print(str(choose_dtype('auto')).removeprefix('torch.'))"


def new_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of `--dtype` and `--peers`, to which a measurement adds its own."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--dtype", choices=("auto", "float32", "bfloat16"), default="auto", help="auto: the faster here"
    )
    parser.add_argument(
        "--peers", type=Path, default=PEERS, metavar="PYTHON", help="the Python of the peers' environment"
    )
    return parser


def dtype_of(options: argparse.Namespace) -> str:
    """Return the type to measure in. What `auto` means is asked of another process, so that this one stays small."""
    if options.dtype != "auto":
        return str(options.dtype)
    done = subprocess.run([sys.executable, "-c", FAST], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
