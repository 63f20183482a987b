"""The whole pipeline on the tiny model with an ensemble, a mixture of rewards and an audit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rlhf_core.models.rewards import RewardEnsemble, load_reward_model

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
REWARDS = "[{kind: learned, combine: penalised, penalty: 0.5}, {kind: toxicity, name: profanity, weight: -1}]"
AUDITS = '[{kind: python, name: vowels, function: "tests.engine:vowels"}]'


def test_an_ensemble_is_trained_rewarded_with_and_reported(tmp_path: Path) -> None:
    settings = [f"run_root={tmp_path}", "reward.members=2", "ppo.missing_eos_penalty=0", f"ppo.rewards={REWARDS}"]
    settings.append(f"ppo.audits={AUDITS}")
    options = [word for setting in settings for word in ("--set", setting)]
    line = [sys.executable, "-m", "rlhf_core", "pipeline", "configs/tiny.yaml", *options]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "tiny"
    assert isinstance(load_reward_model(run / "reward" / "model"), RewardEnsemble)
    report = json.loads((run / "evaluation" / "reward_model.json").read_text())
    assert len(report["members"]) == len(report["normalisation"]) == 2 and report["disagreement"]["sd"] > 0
    rows = [json.loads(line) for line in (run / "ppo" / "metrics.jsonl").read_text().splitlines()]
    steps = [row for row in rows if "objective/scores" in row]
    for row in steps:
        total = row["objective/score_reward_model"] - row["objective/score_profanity"]
        assert row["objective/scores"] == pytest.approx(total, abs=1e-5)
        assert row["objective/score_disagreement"] > 0
    assert len(steps) == 3
    assert [row["step"] for row in rows if row.get("eval/audit_vowels", -1) >= 0] == [0, 2, 3]
