"""Dialogues with summaries: read, held out, and refused where they are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlhf_core.data.formats.dialogues import Dialogue, build_dialogues, read_dialogues
from rlhf_core.errors import DataError


def test_jsonl_and_csv_are_read_alike(tmp_path: Path):
    row = {"id": "train_0", "dialogue": "#Person1#: Hi.\r\n#Person2#: Go, now.", "summary": "They part. ", "topic": "x"}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "b.csv").write_text(
        'id,dialogue,summary,topic\ntrain_0,"#Person1#: Hi.\r\n#Person2#: Go, now.",They part. ,x\n'
    )
    expected = [Dialogue("#Person1#: Hi.\n#Person2#: Go, now.", "They part.")]
    assert read_dialogues(tmp_path / "a.jsonl") == read_dialogues(tmp_path / "b.csv") == expected
    assert expected[0].asked == (
        "Summarize the following conversation.\n\n#Person1#: Hi.\n#Person2#: Go, now.\n\nSummary:"
    )


def test_the_first_of_several_summaries_counts(tmp_path: Path):
    """The test file of DialogSum has three."""
    (tmp_path / "a.jsonl").write_text('{"fname": "t", "dialogue": "A: Hi.", "summary1": "One.", "summary2": "Two."}\n')
    assert read_dialogues(tmp_path / "a.jsonl")[0].summary == "One."


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            '{"dialogue": "Hi."}\n',
            r"a\.jsonl:1: has no dialogue with a summary; its fields: dialogue\. Expected DialogSum",
        ),
        ('{"text": "Hi.", "summary": "x"}\n', "has no dialogue with a summary; its fields: text, summary"),
        ("", "holds no dialogues"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str, problem: str):
    (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(DataError, match=problem):
        read_dialogues(tmp_path / "a.jsonl")
    with pytest.raises(DataError, match=r"none\.jsonl: no such file"):
        read_dialogues(tmp_path / "none.jsonl")


def test_each_dialogue_is_used_once_and_held_out_ones_are_not_shown():
    many = [Dialogue(f"A: Number {n}.", f"It is {n}.") for n in range(10)]
    twice = Dialogue("a number 3", "The same but for signs and case.")
    long = Dialogue("word " * 51, "Long.")
    prompts, shown = build_dialogues([*many, twice, long], eval_prompts=4, max_words=50, seed=0)
    assert len(prompts) == 10 and [p.split for p in prompts] == ["eval"] * 4 + ["train"] * 6
    assert {d.prompt for d in shown} == {p.prompt for p in prompts if p.split == "train"}
    assert all(d.response.split()[-1] in d.prompt for d in shown if "same" not in d.response)
    assert build_dialogues(many, 4, 50, seed=0) == build_dialogues(many, 4, 50, seed=0)
    assert build_dialogues(many, 4, 50, seed=0) != build_dialogues(many, 4, 50, seed=1)


def test_too_few_dialogues_are_refused():
    with pytest.raises(DataError, match="4 different dialogues of up to 50 words leave nothing to train on beside 4"):
        build_dialogues([Dialogue(f"A: {n}.", "x") for n in range(4)], 4, 50, 0)
