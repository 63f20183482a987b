"""Reward against drift: the rows, the landmarks, and what the report says of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rlhf_core.data.io import write_jsonl
from rlhf_core.report.drift import drift_frame, find_drift
from rlhf_core.report.facts import build_facts
from rlhf_core.runs.outcome import Outcome, write_outcome
from rlhf_core.runs.reader import RunReader
from tests.run_factory import write_run

SAMPLES = {0: ((0.0, 0.0), (0.2, 0.0)), 4: ((1.0, 3.0), (1.4, 5.0)), 8: ((0.8, 8.0), (0.8, 10.0))}
"""(score, KL) of two prompts at three steps: means (0.1, 0), (1.2, 4) and (0.8, 9)."""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    rows = [
        {"step": step, "prompt_id": f"p{n}", "prompt": "?", "text": "!", "score": score, "kl": kl}
        for step, pair in SAMPLES.items()
        for n, (score, kl) in enumerate(pair)
    ]
    write_jsonl(tmp_path / "ppo" / "samples.jsonl", rows)
    return tmp_path


def log(run: Path, *rows: dict[str, float]) -> None:
    write_jsonl(run / "ppo" / "metrics.jsonl", [{"time": 0.0} | row for row in rows])


AUDITED = ({"step": 0, "eval/audit_a": 0.05}, {"step": 4, "objective/kl": 1.0}, {"step": 8, "eval/audit_a": 0.07})


def test_means_and_the_root_of_the_kl_by_hand(run: Path):
    log(run, *AUDITED)
    frame = drift_frame(RunReader(run))
    assert list(frame) == ["step", "kl", "root_kl", "score", "eval/audit_a"]
    np.testing.assert_allclose(frame["kl"], [0, 4, 9])
    np.testing.assert_allclose(frame["root_kl"], [0, 2, 3])
    np.testing.assert_allclose(frame["score"], [0.1, 1.2, 0.8])
    np.testing.assert_array_equal(frame["eval/audit_a"], [0.05, np.nan, 0.07])


def test_a_negative_estimate_has_root_zero(run: Path):
    rows = [{"step": 0, "prompt_id": "p", "prompt": "?", "text": "!", "score": 0.0, "kl": -0.3}]
    write_jsonl(run / "ppo" / "samples.jsonl", rows)
    assert drift_frame(RunReader(run))["root_kl"].tolist() == [0.0]
    assert find_drift(RunReader(run)) is None  # one measurement is no curve


def test_the_sentence_tells_start_model_and_best(run: Path):
    log(run, *AUDITED)
    drift = find_drift(RunReader(run))
    assert drift and (drift.start.step, drift.best.step, drift.end.step) == (0, 4, 8)
    assert drift.sentence == (
        "In training the held-out score went from 0.10 to 0.80 (step 8, KL 9.0 nats), after 1.20 (step 4, KL 4.0 nats) "
        "at its best. Meanwhile a, which was not optimised, went from 0.050 to 0.070."
    )


def test_the_end_is_the_state_that_became_the_model(run: Path):
    """And a run from before audits were measured says nothing of them."""
    write_outcome(run / "ppo", Outcome("no better", True, 8, 4, 4))
    drift = find_drift(RunReader(run))
    assert drift and drift.end.step == 4 and drift.sentence.endswith("to 1.20 (step 4, KL 4.0 nats), its best.")


def test_the_report_says_how_the_run_ended_and_which_alarms_went_off(tmp_path: Path):
    run = write_run(tmp_path / "demo")
    before = build_facts(run).caveats
    assert any(text.startswith("In training the held-out score went from") for text in before)
    assert not any("ended at step" in text or "Alarm" in text for text in before)
    write_outcome(run / "ppo", Outcome("enough", True, 24, 20, 20))
    with (run / "ppo" / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 24, "time": 0.0, "alarm/kl": 1.0}) + "\n")
    facts = build_facts(run)
    assert "Training ended at step 24: enough. The model is that of step 20." in facts.caveats
    assert any(text.startswith("Alarm at step 24: drift from the reference jumped") for text in facts.caveats)
    written = json.loads(json.dumps(facts.as_json(), allow_nan=False))
    assert written["outcome"]["kept"] == 20 and written["drift"]["end"]["step"] == 20
