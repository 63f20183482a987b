"""The datasets of Google Cloud's pipeline: found, checked, held out, and what is left out is counted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rlhf_core.data.records import Demonstration, Preference, Prompt
from rlhf_core.errors import DataError
from rlhf_core.gcpc.datasets import Limits, Rows, read_rows
from rlhf_core.gcpc.parameters import Parameters
from rlhf_core.gcpc.places import find_files

ALL = Limits(lambda _: True, lambda _: True)


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def asked(*texts: str) -> list[dict[str, Any]]:
    return [{"input_text": text} for text in texts]


def compared(*texts: str) -> list[dict[str, Any]]:
    """Of each text the first candidate is the better one of even rows, the second of odd ones."""
    return [
        {"input_text": text, "candidate_0": f"{text} 0", "candidate_1": f"{text} 1", "choice": n % 2}
        for n, text in enumerate(texts)
    ]


def rows(folder: Path, limits: Limits = ALL, **given: str) -> Rows:
    needed = {"prompt_dataset": "p.jsonl", "preference_dataset": "c.jsonl", "large_model_reference": "tiny"}
    return read_rows(Parameters.model_validate(needed | given), folder, limits, 0)


def test_what_is_asked_compared_and_held_out_becomes_files(tmp_path: Path) -> None:
    write(tmp_path / "p.jsonl", asked("a", "b"))
    write(tmp_path / "c.jsonl", compared("c", "d"))
    write(tmp_path / "e.jsonl", asked("e"))
    found = rows(tmp_path, eval_dataset="e.jsonl")
    assert [(p.id, p.prompt, p.split) for p in found.prompts] == [
        ("prompt-000001", "a", "train"),
        ("prompt-000002", "b", "train"),
        ("eval-prompt-000001", "e", "eval"),
    ]
    assert [(p.prompt, p.chosen, p.rejected) for p in found.preferences] == [("c", "c 0", "c 1"), ("d", "d 1", "d 0")]
    assert [(d.prompt, d.response) for d in found.demonstrations] == [("c", "c 0"), ("d", "d 1")]
    assert found.describe() == [
        *(f"{name}_dataset: 1 file in {tmp_path}" for name in ("prompt", "preference", "eval")),
        "2 prompts to train on, 1 held out to be judged on",
        "2 preferences; 2 preferred answers to imitate",
    ]


def test_several_files_are_one_dataset_with_ids_of_its_own_and_no_prompt_twice(tmp_path: Path) -> None:
    write(tmp_path / "p" / "2.jsonl", asked("c", "A!"))
    write(tmp_path / "p" / "1.jsonl", asked("a", "b"))
    write(tmp_path / "c.jsonl", compared("x"))
    write(tmp_path / "e.jsonl", asked("e"))
    found = rows(tmp_path, prompt_dataset="p/*.jsonl", eval_dataset="e.jsonl")
    assert [(p.id, p.prompt) for p in found.prompts[:3]] == [
        (f"prompt-00000{n}", t) for n, t in ((1, "a"), (2, "b"), (3, "c"))
    ]


def test_what_is_held_out_is_trained_on_nowhere(tmp_path: Path) -> None:
    write(tmp_path / "p.jsonl", asked("a", "Shared?"))
    write(tmp_path / "c.jsonl", compared("c", "shared"))
    write(tmp_path / "e.jsonl", asked("shared"))
    found = rows(tmp_path, eval_dataset="e.jsonl")
    assert [p.prompt for p in found.prompts] == ["a", "shared"] and found.prompts[1].split == "eval"
    assert [p.prompt for p in found.preferences] == ["c"] and [d.prompt for d in found.demonstrations] == ["c"]
    assert found.left_out == {"prompt_dataset: in eval_dataset too": 1, "preference_dataset: in eval_dataset too": 1}


def test_without_prompts_to_evaluate_on_a_fifth_is_held_out_that_nobody_compared(tmp_path: Path) -> None:
    write(tmp_path / "p.jsonl", asked(*(f"free {n}" for n in range(20)), *(f"compared {n}" for n in range(30))))
    write(tmp_path / "c.jsonl", compared(*(f"compared {n}" for n in range(30))))
    found = rows(tmp_path)
    held_out = [p.prompt for p in found.prompts if p.split == "eval"]
    assert len(held_out) == 4 and all(text.startswith("free") for text in held_out)
    assert len({p.prompt for p in found.prompts}) == 50 and len({p.id for p in found.prompts}) == 50
    assert [p.prompt for p in rows(tmp_path).prompts if p.split == "eval"] == held_out


def test_no_more_than_a_hundred_are_held_out(tmp_path: Path) -> None:
    write(tmp_path / "p.jsonl", asked(*(f"free {n}" for n in range(900))))
    write(tmp_path / "c.jsonl", compared("c"))
    assert sum(p.split == "eval" for p in rows(tmp_path).prompts) == 100


def test_nothing_can_be_held_out_where_every_prompt_was_compared(tmp_path: Path) -> None:
    write(tmp_path / "p.jsonl", asked("a"))
    write(tmp_path / "c.jsonl", compared("a"))
    with pytest.raises(DataError, match=r"none can be held out\. Name prompts of their own as eval_dataset"):
        rows(tmp_path)


def test_rows_that_are_too_long_are_left_out_and_counted(tmp_path: Path) -> None:
    write(tmp_path / "p.jsonl", asked("a", "long"))
    write(
        tmp_path / "c.jsonl",
        [*compared("c", "long"), {"input_text": "d", "candidate_0": "0123456", "candidate_1": "1", "choice": 0}],
    )
    write(tmp_path / "e.jsonl", asked("e", "long"))
    limits = Limits(lambda row: row.prompt != "long", lambda text: len(text) < 5)
    found = rows(tmp_path, limits, eval_dataset="e.jsonl")
    assert [p.prompt for p in found.prompts] == ["a", "e"] and [p.prompt for p in found.preferences] == ["c", "d"]
    assert [d.response for d in found.demonstrations] == ["c 0"]
    names = ("prompt_dataset", "preference_dataset", "eval_dataset")
    assert found.left_out == {f"{name}: longer than prompt_sequence_length": 1 for name in names} | {
        "preferred answers longer than target_sequence_length, not imitated": 1
    }
    assert "1 left out: eval_dataset: longer than prompt_sequence_length" in found.describe()


def test_pairs_that_show_nothing_are_counted_and_wrong_rows_refused(tmp_path: Path) -> None:
    write(tmp_path / "p.jsonl", asked("a"))
    write(tmp_path / "e.jsonl", asked("e"))
    same = {"input_text": "x", "candidate_0": "y", "candidate_1": "y", "choice": 0}
    write(tmp_path / "c.jsonl", [*compared("c"), same])
    assert sum(rows(tmp_path, eval_dataset="e.jsonl").left_out.values()) == 1
    write(tmp_path / "e.jsonl", [{"input_text": "e"}] * 150 + [{"input_text": 3}])
    with pytest.raises(DataError, match=r"e\.jsonl:151: input_text"):
        rows(tmp_path, eval_dataset="e.jsonl")


def test_nothing_left_is_refused_with_what_was_left_out(tmp_path: Path) -> None:
    write(tmp_path / "p.jsonl", asked("e"))
    write(tmp_path / "c.jsonl", compared("c"))
    write(tmp_path / "e.jsonl", asked("e"))
    with pytest.raises(DataError, match=r"nothing is left to train on \(found 'prompt_dataset: in eval_dataset too'\)"):
        rows(tmp_path, eval_dataset="e.jsonl")


def test_rows_are_written_as_a_pipeline_reads_them(tmp_path: Path) -> None:
    from rlhf_core.data.io import read_jsonl

    write(tmp_path / "p.jsonl", asked("a"))
    write(tmp_path / "c.jsonl", compared("c"))
    write(tmp_path / "e.jsonl", asked("e"))
    found = rows(tmp_path, eval_dataset="e.jsonl")
    found.write(tmp_path / "out")
    assert read_jsonl(tmp_path / "out" / "prompts.jsonl", Prompt) == found.prompts
    assert read_jsonl(tmp_path / "out" / "preferences.jsonl", Preference) == found.preferences
    assert read_jsonl(tmp_path / "out" / "demonstrations.jsonl", Demonstration) == found.demonstrations


def test_copies_of_what_an_address_names_are_found_under_as_much_of_it_as_there_is(tmp_path: Path) -> None:
    address = "gs://bucket/text/train/*.jsonl"
    write(tmp_path / "all.jsonl", [])  # a pattern alone would take it, and the files of every other dataset
    with pytest.raises(DataError, match="no copy here"):
        find_files(address, tmp_path)
    far = write(tmp_path / "train" / "x.jsonl", [])
    assert find_files(address, tmp_path) == [far]
    near = [write(tmp_path / "text" / "train" / name, []) for name in ("a.jsonl", "b.jsonl")]
    assert find_files(address, tmp_path) == near
    whole = write(tmp_path / "bucket" / "text" / "train" / "c.jsonl", [])
    assert find_files(address, tmp_path) == [whole]


def test_a_path_is_found_from_the_folder_or_whole(tmp_path: Path) -> None:
    file = write(tmp_path / "data" / "x.jsonl", [])
    assert find_files("data/x.jsonl", tmp_path) == find_files(str(file), tmp_path / "data") == [file]
    assert find_files(str(tmp_path / "data" / "*.jsonl"), tmp_path / "data") == [file]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("gs://bucket/text/train/*.jsonl", r"gcloud storage cp 'gs://bucket/text/train/\*\.jsonl' .*/bucket/text/train/"),
        ("gs://bucket/x.jsonl", r"no copy here\. Fetch a copy"),
        ("gs://bucket/../../etc/passwd", "no copy here"),
        ("gs://bucket/*.jsonl", "no copy here"),
        ("gs://*.jsonl", "no copy here"),
        ("gs://", "no copy here"),
        ("none.jsonl", r"none\.jsonl: no such file\. Paths start from the folder of the parameters"),
        ("*.jsonl", "no such file"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_named_with_the_way_to_it(tmp_path: Path, place: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_files(place, tmp_path)
