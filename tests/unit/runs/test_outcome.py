"""How a stage ended, and what its alarms said."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from rlhf_core.errors import RunError
from rlhf_core.runs.metrics import REGISTRY, find_metric
from rlhf_core.runs.outcome import ALARMS, Outcome, alarms_in, write_outcome
from rlhf_core.runs.reader import RunReader

BEST = Outcome("it got no better", early=True, step=9, kept=4, measured=4)


def test_an_outcome_is_read_as_it_was_written(tmp_path: Path):
    write_outcome(tmp_path / "ppo", BEST)
    assert RunReader(tmp_path).outcome() == BEST
    assert RunReader(tmp_path).outcome("sft") is None


def test_the_sentence_names_the_model_when_it_is_not_the_last_state():
    assert BEST.sentence == "Training ended at step 9: it got no better. The model is that of step 4."
    assert Outcome("done", False, 9, 9, 9).sentence == "Training ended at step 9: done."


def test_a_damaged_outcome_names_what_it_lacks(tmp_path: Path):
    (tmp_path / "ppo").mkdir()
    (tmp_path / "ppo" / "outcome.json").write_text(json.dumps({"reason": "x", "early": True, "step": 3}))
    with pytest.raises(RunError, match=r"outcome.json: lacks kept, measured .*Run the stage again"):
        RunReader(tmp_path).outcome()


def test_alarms_are_told_once_with_their_first_step():
    metrics = pd.DataFrame(
        {"step": [1, 2, 3, 3], "alarm/length": [0, 1, 1, float("nan")], "alarm/kl": [0, 0, 0, float("nan")]}
    )
    assert alarms_in(metrics) == [f"Alarm at step 2: {ALARMS['alarm/length']}."]
    assert alarms_in(pd.DataFrame({"step": [1]})) == []
    assert REGISTRY.keys() >= ALARMS.keys()


def test_a_family_of_metrics_has_one_entry():
    assert find_metric("eval/audit_mine") is REGISTRY["eval/audit_*"]
    with pytest.raises(KeyError, match="eval/other"):
        find_metric("eval/other")
