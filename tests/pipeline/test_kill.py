"""kill -9 at twenty-one random moments of sft, reward and ppo; what is left in the end is what an uninterrupted run leaves."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.engine import TIMES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("sft", "reward", "ppo")
KILLS = 7  # for each stage
LONGEST = 1.2  # seconds between the start of a stage and the kill
SETTINGS = ("sft.epochs=3", "sft.eval_every=1", "reward.eval_every=1", "ppo.iterations=8", "ppo.eval_every=2")


def command(root: Path) -> list[str]:
    """The pipeline up to PPO's answers, in `root`, with a checkpoint at every step."""
    words = [sys.executable, "-m", "rlhf_core", "pipeline", "configs/tiny.yaml", "--set", f"run_root={root}"]
    return words + [part for setting in SETTINGS for part in ("--set", setting)]


def stage_now(run: Path, pid: int) -> str | None:
    """The stage that process `pid` is running."""
    try:
        status = json.loads((run / "status.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    running = [name for name, stage in status["stages"].items() if stage["state"] == "running"]
    return running[-1] if running and status.get("pid") == pid else None


def killed_in(stage: str, root: Path, delay: float) -> bool:
    """Start the run, or go on with it, and kill it `delay` seconds after it is seen in `stage`; False when that was too late."""
    with subprocess.Popen(command(root), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if stage_now(root / "tiny", process.pid) == stage:
                time.sleep(delay)
                in_time = stage_now(root / "tiny", process.pid) == stage
                process.kill()
                return in_time
            time.sleep(0.01)
    return False


def left_behind(run: Path) -> dict[str, Any]:
    """Everything a run leaves but times: logged rows, weights, answers."""
    found: dict[str, Any] = {}
    for stage in STAGES:
        for name in ("metrics.jsonl", "samples.jsonl"):
            if (path := run / stage / name).is_file():
                lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
                found[f"{stage}/{name}"] = [{k: v for k, v in line.items() if k not in TIMES} for line in lines]
        found |= {f"{stage}/{p.name}": p.read_bytes() for p in (run / stage / "model").glob("*.safetensors")}
    return found | {p.name: p.read_text(encoding="utf-8") for p in (run / "completions").glob("*.jsonl")}


def test_twenty_one_kills_leave_no_trace(tmp_path: Path) -> None:
    """Claim 29, to the last bit. A run that got through in spite of its kills is compared, and another one begins."""
    assert subprocess.run(command(tmp_path / "whole"), cwd=ROOT, capture_output=True, timeout=500).returncode == 0
    expected = left_behind(tmp_path / "whole" / "tiny")
    assert {f"{stage}/metrics.jsonl" for stage in STAGES} < expected.keys()
    chance, runs = random.Random(29), 1
    for stage in STAGES:
        kills = 0
        while kills < KILLS:
            root = tmp_path / f"cut-{runs}"
            killed = killed_in(stage, root, chance.uniform(0, LONGEST))
            kills, runs = kills + killed, runs + (not killed)
            assert runs < 20, f"{stage} is over before it can be killed"
    for number in range(1, runs + 1):
        root = tmp_path / f"cut-{number}"
        assert subprocess.run(command(root), cwd=ROOT, capture_output=True, timeout=500).returncode == 0
        assert left_behind(root / "tiny") == expected
