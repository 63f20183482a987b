"""Two PPO iterations at a fixed seed against numbers kept in a file: a change in any step of the algorithm shows here.

`python -m tests.golden.test_ppo_golden` writes the file anew, after a change that is meant.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from rlhf_core.training.heldout import HeldOut
from rlhf_core.training.ppo import FIRST_RATIO, train_ppo
from tests.engine import episodes, logged, make_stage, ppo_config, tiny_policy, vowels

GOLDEN = Path(__file__).with_name("ppo.json")
EXACT = (
    *("step", "progress/step", "progress/episodes", "objective/scores"),
    *("tokens/batch", "tokens/response_length", "tokens/eos_frac"),
)


def two_iterations(folder: Path) -> list[dict[str, Any]]:
    """Train the tiny policy and return what was logged, without times."""
    policy, stage = tiny_policy(), make_stage(folder)
    config = ppo_config(iterations=2, kl_coef=0.2, eval_every=2, lam=0.95)
    rows = episodes(policy)
    train_ppo(policy, vowels, rows[:4], HeldOut(rows[4:], vowels, config, stage), config, stage)
    return logged(stage)


def test_two_iterations_give_the_numbers_they_always_gave(tmp_path: Path):
    """Equal where nothing is rounded; elsewhere to a part in a thousand, more than processors differ by."""
    expected = json.loads(GOLDEN.read_text(encoding="utf-8"))
    found = two_iterations(tmp_path)
    assert [list(row) for row in found] == [list(row) for row in expected]
    for mine, golden in zip(found, expected, strict=True):
        for name, value in golden.items():
            if name in EXACT or value is None:
                assert mine[name] == value, name
            elif name == FIRST_RATIO:  # rounding and nothing else
                assert mine[name] < 1e-4
            else:
                assert mine[name] == pytest.approx(value, abs=2e-6, rel=1e-3), name


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        GOLDEN.write_text(json.dumps(two_iterations(Path(scratch)), indent=1) + "\n", encoding="utf-8")
