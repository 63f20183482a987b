"""The recorded run: complete, small, free of the recording machine's folders, its votes made by the stated rule."""

from __future__ import annotations

import json
import random
import runpy
from pathlib import Path

from rlhf_core.runs.directory import STAGES
from rlhf_core.runs.reader import RunReader

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / "sample_data" / "recorded_run"


def test_it_is_a_complete_recorded_run_under_five_megabytes() -> None:
    status = RunReader(RECORDED).status()
    assert status.recorded and [s.state for s in status.stages] == ["complete"] * len(STAGES)
    files = [path for path in RECORDED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 5_000_000
    assert not [path for path in files if path.suffix in (".pt", ".safetensors")]


def test_its_votes_are_simulated_and_follow_the_rule() -> None:
    votes = [json.loads(line) for line in (RECORDED / "votes.jsonl").read_text(encoding="utf-8").splitlines()]
    assert votes and all(vote["simulated"] is True for vote in votes)
    rule = runpy.run_path(str(ROOT / "scripts" / "record_run.py"))
    assert votes == rule["simulate_votes"](RunReader(RECORDED), random.Random(0))
    assert (RECORDED / "votes_rule.md").read_text(encoding="utf-8") == rule["RULE"]


def test_no_absolute_folder_is_left_in_it() -> None:
    for name in ("config.yaml", "env.json"):
        text = (RECORDED / name).read_text(encoding="utf-8")
        assert "sample_data" in text or "rlhf" in text
        assert not [word for word in text.split() if word.strip("\"',").startswith("/")]
