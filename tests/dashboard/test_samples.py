"""Completions at two steps of training, as rows and as a pair."""

from __future__ import annotations

import pandas as pd

from dashboard.services.samples import compare_steps, pair_at, prompts_of, steps_of

ROWS = pd.DataFrame(
    [
        {"step": 0, "prompt_id": "a", "prompt": "Why\nso?", "text": "old", "score": 0.5, "kl": 0.0},
        {"step": 0, "prompt_id": "b", "prompt": "How?", "text": "so", "score": 1.0, "kl": 0.0},
        {"step": 4, "prompt_id": "a", "prompt": "Why\nso?", "text": "torn", "score": 9.0, "kl": 9.0},
        {"step": 4, "prompt_id": "a", "prompt": "Why\nso?", "text": "new", "score": 2.0, "kl": 3.0},  # logged again
        {"step": 4, "prompt_id": "c", "prompt": "Who?", "text": "me", "score": 0.0, "kl": 1.0},
    ]
)


def test_every_prompt_at_the_second_step_is_a_row_with_its_change() -> None:
    rows = compare_steps(ROWS, 0, 4)
    assert rows["prompt_id"].tolist() == ["a", "c"]
    assert rows["change"].iloc[0] == 1.5 and pd.isna(rows["change"].iloc[1])  # c has no answer at step 0
    assert rows[["kl", "text"]].to_numpy().tolist() == [[3.0, "new"], [1.0, "me"]]


def test_a_pair_holds_what_there_is() -> None:
    assert steps_of(ROWS) == [0, 4] and list(prompts_of(ROWS)) == ["a", "b", "c"]
    assert "\n" not in prompts_of(ROWS)["a"]
    pair = pair_at(ROWS, "a", 0, 4)
    assert (pair.prompt, pair.before, pair.after) == ("Why\nso?", "old", "new")
    assert pair_at(ROWS, "b", 0, 4).after is None
