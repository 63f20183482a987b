"""Ask TRL, in the environment that `make bench` makes, whether its trainers take files of rows."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlhf_core.models.sources import resolve

ROOT = Path(__file__).resolve().parents[1]
PYTHON = Path(os.environ.get("RLHF_PEERS", ROOT / ".venv-peers")) / "bin" / "python"
"""RLHF_PEERS names the environment where it lies elsewhere than `make bench` puts it."""
MISSING = "" if PYTHON.is_file() else f"no {PYTHON}: `make bench` makes the environment with TRL"


def train_with_trl(asked: Sequence[tuple[str, Path]], model: str = "tiny") -> list[dict[str, Any]]:
    """Train on files with TRL's trainers, (trainer, file) each; return trainer, file, rows, taken, steps and loss of each.

    Raises:
        AssertionError: TRL refused a file; its own message is in it.
    """
    line = [str(PYTHON), str(ROOT / "tests" / "trl_trainers.py"), str(resolve(model))]
    done = subprocess.run(
        [*line, *(f"{trainer}={file}" for trainer, file in asked)],
        capture_output=True, text=True, timeout=500, cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(row) for row in done.stdout.splitlines() if row.startswith("{") and '"trainer"' in row]
