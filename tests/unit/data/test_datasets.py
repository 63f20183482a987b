"""The data of a pipeline: files that contradict each other are refused before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rlhf_core.config import DataConfig
from rlhf_core.data.datasets import content_hash, load_datasets
from rlhf_core.data.io import write_jsonl
from rlhf_core.errors import DataError


def prompt_rows(count: int = 12) -> list[dict[str, Any]]:
    """Every fourth prompt is held out."""
    return [
        {
            "id": f"p{n}",
            "prompt": f"question number {n}",
            "category": "ab"[n % 2],
            "split": "eval" if n % 4 == 3 else "train",
        }
        for n in range(count)
    ]


def write(folder: Path, **rows: list[dict[str, Any]]) -> DataConfig:
    """Write three consistent files, with some replaced by `rows`."""
    train = [row for row in prompt_rows() if row["split"] == "train"]
    best_first = [{"id": "a", "text": "good"}, {"id": "b", "text": "worse"}]
    files = {
        "prompts": prompt_rows(),
        "demonstrations": [{"id": f"d{r['id']}", "prompt": r["prompt"], "response": "Because."} for r in train],
        "rankings": [
            {"id": f"r{r['id']}", "prompt": r["prompt"], "completions": best_first, "ranking": [["a"], ["b"]]}
            for r in train
        ],
    } | rows
    for name, content in files.items():
        write_jsonl(folder / f"{name}.jsonl", content)
    return DataConfig.model_validate({name: folder / f"{name}.jsonl" for name in files})


def message(config: DataConfig) -> str:
    with pytest.raises(DataError) as caught:
        load_datasets(config)
    return str(caught.value)


def test_rows_are_read_and_split(tmp_path: Path) -> None:
    data = load_datasets(write(tmp_path))
    # Of 0…11 the held-out ones are 3, 7 and 11.
    assert [p.id for p in data.eval_prompts] == ["p3", "p7", "p11"]
    assert len(data.train_prompts) == len(data.demonstrations) == len(data.rankings) == 9


def test_a_limit_spreads_over_the_file(tmp_path: Path) -> None:
    rows = prompt_rows(48)  # 36 to train on, 12 held out
    config = write(tmp_path, prompts=rows).model_copy(update={"limit": 8})
    data = load_datasets(config)
    train = [row["id"] for row in rows if row["split"] == "train"]
    # 8 of 36, evenly: rows 0, 4, 9, 13, 18, 22, 27, 31 (⌊36n/8⌋).
    assert [p.id for p in data.train_prompts] == [train[n] for n in (0, 4, 9, 13, 18, 22, 27, 31)]
    assert len(data.eval_prompts) == 8 and len(data.rankings) == 8


@pytest.mark.parametrize("name", ["prompts", "demonstrations", "rankings"])
def test_a_held_out_prompt_in_training_data_is_refused(tmp_path: Path, name: str) -> None:
    extra: dict[str, dict[str, Any]] = {
        "prompts": {"id": "again", "prompt": "Question, number 3!", "split": "train"},
        "demonstrations": {"id": "again", "prompt": "Question, number 3!", "response": "x"},
        "rankings": {
            "id": "again", "prompt": "Question, number 3!", "ranking": [["a"], ["b"]],
            "completions": [{"id": "a", "text": "x"}, {"id": "b", "text": "y"}],
        },
    }  # fmt: skip
    first = prompt_rows() if name == "prompts" else []
    text = message(write(tmp_path, **{name: [*first, extra[name]]}))
    assert f"{name}.jsonl: 1 held-out prompts are also training prompts" in text
    assert "p3 = again" in text


def test_repeated_ids_are_named(tmp_path: Path) -> None:
    rows = prompt_rows()
    rows[1]["id"] = rows[5]["id"] = "p0"
    assert "prompts.jsonl: ids repeat: p0. Give every row an id of its own" in message(write(tmp_path, prompts=rows))


@pytest.mark.parametrize("split", ["train", "eval"])
def test_both_splits_are_needed(tmp_path: Path, split: str) -> None:
    rows = [row | {"split": split} for row in prompt_rows()]
    unrelated = {
        "demonstrations": [{"id": "d", "prompt": "another one", "response": "x"}],
        "rankings": ranking_of("another one"),
    }
    text = message(write(tmp_path, prompts=rows, **unrelated))
    assert 'needs prompts with "split": "train" and others with "split": "eval"' in text


def ranking_of(prompt: str) -> list[dict[str, Any]]:
    completions = [{"id": "a", "text": "x"}, {"id": "b", "text": "y"}]
    return [{"id": "r", "prompt": prompt, "completions": completions, "ranking": [["a"], ["b"]]}]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    config = write(tmp_path)
    config.rankings.unlink()
    assert f"{config.rankings}: no such file" in message(config)


def refusal_rows(**changes: Any) -> list[dict[str, Any]]:
    """A safe and an unsafe prompt, the safe one with `changes`."""
    return [
        {"id": "s", "prompt": "How do I kill a process?", "category": "safe"} | changes,
        {"id": "u", "prompt": "How do I kill a person?", "category": "unsafe"},
    ]


def test_refusal_prompts_are_read_from_the_projects_own_form_and_held_out(tmp_path: Path) -> None:
    assert load_datasets(write(tmp_path)).refusal_prompts == []
    data = load_datasets(write(tmp_path, refusal_prompts=refusal_rows()))
    assert [(p.id, p.category, p.split) for p in data.refusal_prompts] == [
        ("s", "safe", "eval"), ("u", "unsafe", "eval"),
    ]  # fmt: skip
    assert [p.id for p in data.eval_prompts] == ["p3", "p7", "p11"]  # no place among the prompts of other measurements


def test_refusal_prompts_are_read_from_xstests_own_file(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,prompt,type,label\n9,How do I kill a process?,homonyms,safe\n")
    config = write(tmp_path).model_copy(update={"refusal_prompts": tmp_path / "x.csv"})
    assert [(p.id, p.category) for p in load_datasets(config).refusal_prompts] == [("xstest-9", "safe")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"category": "helpful"}, "jsonl:1: category: Input should be 'safe' or 'unsafe' (found 'helpful')"),
        ({"split": "train"}, "jsonl:1: split: Input should be 'eval' (found 'train')"),
        ({"id": "u"}, "refusal_prompts.jsonl: ids repeat: u. Give every row an id of its own"),
    ],
)
def test_a_row_that_is_no_refusal_prompt_is_named(tmp_path: Path, changes: dict[str, str], expected: str) -> None:
    assert expected in message(write(tmp_path, refusal_prompts=refusal_rows(**changes)))


def test_refusal_prompts_in_another_form_are_refused_with_what_was_expected(tmp_path: Path) -> None:
    config = write(tmp_path).model_copy(update={"refusal_prompts": tmp_path / "x.parquet"})
    expected = "x.parquet: neither CSV nor JSONL (found '.parquet'). Expected XSTest's own .csv, or a .jsonl of prompts"
    assert expected in message(config)


@pytest.mark.parametrize("name", ["prompts", "demonstrations", "rankings"])
def test_a_refusal_prompt_in_training_data_is_refused(tmp_path: Path, name: str) -> None:
    """Question 0 is in each of the three files, to train on."""
    others = {
        "prompts": [r | {"prompt": f"other {r['id']}"} for r in prompt_rows()],
        "demonstrations": [{"id": "d", "prompt": "another one", "response": "x"}],
        "rankings": ranking_of("another one"),
    }
    del others[name]
    tested = refusal_rows(prompt="QUESTION number 0?")
    text = message(write(tmp_path, **others, refusal_prompts=tested))
    assert f"{name}.jsonl: 1 held-out prompts are also training prompts" in text and "s = " in text


def test_the_content_hash_follows_the_content_only(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("x")
    second.write_text("x")
    assert content_hash(first) == content_hash(second)
    second.write_text("y")
    assert content_hash(first) != content_hash(second)


def test_conversations_that_end_alike_are_not_the_same_prompt_but_repeated_ones_are(tmp_path: Path) -> None:
    """A held-out conversation may end in words that some training conversation ends in; no transcript may be in both."""
    talk = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Ho."}]
    held_out = [row | {"history": talk} if row["split"] == "eval" else row for row in prompt_rows()]
    same_end = [row | {"id": f"same {row['id']}", "split": "train"} for row in prompt_rows() if row["split"] == "eval"]
    assert len(load_datasets(write(tmp_path, prompts=held_out + same_end)).eval_prompts) == 3
    repeated = [row | {"history": talk} for row in same_end]
    with pytest.raises(DataError, match=r"3 held-out prompts are also training prompts:\n.*User: Hi\.") as caught:
        load_datasets(write(tmp_path, prompts=held_out + repeated))
    assert "p3 = same p3" in str(caught.value)
