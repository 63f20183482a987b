"""AutoSxS's judgements: each contender's answers stand on one side, whichever the judge saw first."""

from __future__ import annotations

from pathlib import Path

from tests.exchange_rows import ROWS, export_refusal, exported, imported

VOTE = ROWS["studio-votes"][0] | {"prompt_id": "q1"}
SWAPPED = {"a": VOTE["b"], "b": VOTE["a"]}


def test_votes_are_autosxs_judgements_with_each_contender_on_one_side(tmp_path: Path) -> None:
    rows, left_out = exported(
        tmp_path, "autosxs", VOTE | {"reason": "True."}, VOTE | {"id": "p2"} | SWAPPED, VOTE | {"verdict": "tie"}
    )
    shared = {
        "inference_instruction": "What boils at 100 °C?", "inference_context": "", "response_a": "Fire.", "response_b": "Water.",
    }  # fmt: skip
    assert rows == [
        shared | {"choice": "B", "explanation": "True."},
        shared | {"choice": "A", "explanation": ""},
    ]
    assert left_out == ["1 left out: the vote is a tie"]
    back = imported(tmp_path / "out.jsonl", "votes", tmp_path / "back.jsonl")[1]
    assert [(vote["verdict"], vote["automatic"]) for vote in back] == [("b", True), ("a", True)]


def test_autosxs_compares_two_models_only(tmp_path: Path) -> None:
    third = VOTE | {"a": {"contender": "sft", "text": "Ice."}}
    assert export_refusal(tmp_path, "autosxs", VOTE, third) == (
        "AutoSxS compares two models (found ['base', 'sft', 'tuned']). Export the votes on two contenders"
    )
