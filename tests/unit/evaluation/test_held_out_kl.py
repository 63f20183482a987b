"""The drift of the tuned model, from the completions PPO kept."""

from __future__ import annotations

from pathlib import Path

from rlhf_core.data.io import write_jsonl
from rlhf_core.evaluation.run import held_out_kl
from rlhf_core.runs.outcome import Outcome, write_outcome


def test_the_drift_is_that_of_the_state_that_became_the_model(tmp_path: Path):
    """Means 4 at step 3 and 9 at step 6, the last; the outcome says which of them was saved."""
    nats = ((3, 3.0), (3, 5.0), (6, 8.0), (6, 10.0))
    rows = [{"step": s, "prompt_id": "p", "prompt": "?", "text": "!", "score": 0.0, "kl": k} for s, k in nats]
    (tmp_path / "ppo").mkdir()
    assert held_out_kl(tmp_path, 100) is None
    write_jsonl(tmp_path / "ppo" / "samples.jsonl", rows)
    assert (held_out_kl(tmp_path, 100) or {})["value"] == 9.0
    write_outcome(tmp_path / "ppo", Outcome("no better", True, 6, 3, 3))
    assert (held_out_kl(tmp_path, 100) or {})["value"] == 4.0
