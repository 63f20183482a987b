"""Dialogues with summaries: read, each once, and some held out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlhf_core.data.formats.dialogues import build_dialogues
from rlhf_core.data.records import Demonstration
from rlhf_core.errors import DataError
from tests.exchange_rows import ROWS, exported, imported


def told(dialogue: str, summary: str) -> Demonstration:
    """A summary as an import makes it."""
    asked = f"Summarize the following conversation.\n\n{dialogue}\n\nSummary:"
    return Demonstration(id="x", prompt=asked, response=summary)


def test_jsonl_and_csv_are_read_alike(tmp_path: Path):
    row = {"id": "train_0", "dialogue": "#Person1#: Hi.\r\n#Person2#: Go, now.", "summary": "They part. ", "topic": "x"}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "b.csv").write_bytes(
        b'id,dialogue,summary,topic\ntrain_0,"#Person1#: Hi.\r\n#Person2#: Go, now.",They part. ,x\n'
    )
    for file in ("a.jsonl", "b.csv"):
        (record,) = imported(tmp_path / file, "demonstrations")[1]
        assert record["prompt"] == (
            "Summarize the following conversation.\n\n#Person1#: Hi.\n#Person2#: Go, now.\n\nSummary:"
        )
        assert (record["response"], record["prompt_id"]) == ("They part.", "train_0")


def test_an_id_may_be_a_number(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text('{"id": 0, "dialogue": "A: Hi.", "summary": "They meet."}\n')
    assert imported(tmp_path / "a.jsonl", "demonstrations")[1][0]["prompt_id"] == "0"


def test_each_dialogue_is_used_once_and_held_out_ones_are_not_shown():
    many = [told(f"A: Number {n}.", f"It is {n}.") for n in range(10)]
    twice = told("a number 3", "The same but for signs and case.")
    long = told("word " * 51, "Long.")
    prompts, shown = build_dialogues([*many, twice, long], eval_prompts=4, max_words=50, seed=0)
    assert len(prompts) == 10 and [p.split for p in prompts] == ["eval"] * 4 + ["train"] * 6
    assert {d.prompt for d in shown} == {p.prompt for p in prompts if p.split == "train"}
    assert all(d.response.split()[-1] in d.prompt for d in shown)  # of two summaries of one dialogue the first
    assert build_dialogues(many, 4, 50, seed=0) == build_dialogues(many, 4, 50, seed=0)
    assert build_dialogues(many, 4, 50, seed=0) != build_dialogues(many, 4, 50, seed=1)


def test_too_few_dialogues_are_refused():
    with pytest.raises(DataError, match="4 different dialogues of up to 50 words leave nothing to train on beside 4"):
        build_dialogues([told(f"A: {n}.", "x") for n in range(4)], 4, 50, 0)


def test_a_summary_of_a_dialogue_is_dialogsums(tmp_path: Path) -> None:
    asked = "Summarize the following conversation.\n\n#Person1#: Tea?\n\nSummary:"
    demonstration = ROWS["studio-demonstrations"][0] | {"prompt": asked, "response": "They have tea."}
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    none = "Summarize the following conversation.\n\nSummary:"
    rows, left_out = exported(
        tmp_path,
        "dialogsum",
        demonstration,
        demonstration | {"prompt_id": "train_0"},
        demonstration | {"history": talk},
        demonstration | {"prompt": none},
        ROWS["studio-demonstrations"][0],
    )
    assert rows == [
        {"fname": name, "dialogue": "#Person1#: Tea?", "summary": "They have tea."} for name in ("p1", "train_0")
    ]
    assert left_out == ["3 left out: the prompt does not ask for a summary as DialogSum is read here"]
