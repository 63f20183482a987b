"""The files of other projects themselves, where they are here."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from rlhf_core.data.exchange.exporting import export_file
from rlhf_core.errors import DataError
from tests.exchange_rows import imported
from tests.real_data import REAL_DATA, needs

EVERYTHING = {"demonstrations", "preferences", "prompts", "rankings"}
ZEN = {  # file → format, kinds
    "conversational_implicit_prompt_preference": ("trl-implicit", EVERYTHING),
    "conversational_language_modeling": ("trl-messages", {"demonstrations", "prompts"}),
    "conversational_preference": ("trl-preference", EVERYTHING),
    "conversational_prompt_completion": ("trl-completion", {"demonstrations", "prompts"}),
    "conversational_prompt_only": ("trl-prompt", {"prompts"}),
    "conversational_unpaired_preference": ("trl-unpaired", {"demonstrations", "prompts"}),
    "standard_implicit_prompt_preference": ("trl-implicit", EVERYTHING),
    "standard_language_modeling": ("trl-text", set()),
    "standard_preference": ("trl-preference", EVERYTHING),
    "standard_prompt_completion": ("trl-completion", {"demonstrations", "prompts"}),
    "standard_prompt_only": ("trl-prompt", {"prompts"}),
    "standard_stepwise_supervision": ("trl-stepwise", {"demonstrations", "prompts"}),
    "standard_unpaired_preference": ("trl-unpaired", {"demonstrations", "prompts"}),
}
LABELS = {"trl-unpaired": "label", "trl-stepwise": "labels"}


@needs("trl-zen")
@pytest.mark.parametrize("name", ZEN)
def test_every_shape_of_trl_is_read_whole(tmp_path: Path, name: str) -> None:
    source = REAL_DATA / "trl-zen" / f"{name}.jsonl"
    rows = [json.loads(line) for line in source.read_text().splitlines()]
    form, kinds = ZEN[name]
    for kind in ("prompts", "demonstrations", "preferences", "rankings", "votes"):
        if kind not in kinds:
            with pytest.raises(DataError, match=f"{form} holds no {kind}"):
                imported(source, kind, tmp_path / "out.jsonl")
            continue
        about, records = imported(source, kind, tmp_path / "out.jsonl")
        labels = [row.get(LABELS.get(form, ""), True) for row in rows] if kind == "demonstrations" else []
        bad = sum(not (all(label) if isinstance(label, list) else label) for label in labels)
        assert (about.format, about.read, len(records)) == (form, len(rows), len(rows) - bad - about.merged)
        assert sum(about.dropped.values()) == bad


@needs("trl-zen")
def test_trl_conversations_come_back_as_they_were(tmp_path: Path) -> None:
    """Ours, written as TRL's conversations: the fields of the rows it was read from."""
    source = REAL_DATA / "trl-zen" / "conversational_preference.jsonl"
    imported(source, "preferences", tmp_path / "ours.jsonl")
    export_file(tmp_path / "ours.jsonl", tmp_path / "back.jsonl", "trl")
    assert [json.loads(line) for line in (tmp_path / "back.jsonl").read_text().splitlines()] == [
        json.loads(line) for line in source.read_text().splitlines()
    ]


@needs("hh-rlhf")
@pytest.mark.parametrize(("part", "size"), [("helpful-base", 2354), ("harmless-base", 2312)])
def test_hh_rlhf_says_what_it_drops(tmp_path: Path, part: str, size: int) -> None:
    """What a plain look at the transcripts finds is what is dropped, and no more."""
    source = REAL_DATA / "hh-rlhf" / part / "test.jsonl.gz"
    about, records = imported(source, "preferences", tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in gzip.decompress(source.read_bytes()).decode().split("\n") if line]
    kept = {int(record["id"].removeprefix("hh-rlhf-")) for record in records}
    assert (about.read, about.format, len(kept)) == (size, "hh-rlhf", len(records))
    for number, row in enumerate(rows, 1):
        replies = [row[side].rpartition("\n\nAssistant:")[2].strip() for side in ("chosen", "rejected")]
        assert number not in kept or (all(replies) and replies[0] != replies[1])
    assert about.dropped["the two transcripts are the same"] == sum(row["chosen"] == row["rejected"] for row in rows)
    assert len(records) == size - sum(about.dropped.values())
    assert sum(about.dropped.values()) < 0.01 * size
    assert set(about.dropped) <= {
        "the two transcripts are the same",
        "the last reply is empty",
        "one speaker has two turns in a row",
        "a turn before the last reply is empty",
    }


@needs("pandalm")
def test_pandalm_holds_three_votes_for_each_pair(tmp_path: Path) -> None:
    source = REAL_DATA / "pandalm" / "testset-v1.json"
    _, votes = imported(source, "votes", tmp_path / "out.jsonl")
    rows = json.loads(source.read_text())
    codes = Counter({0: "tie", 1: "a", 2: "b"}[row[f"annotator{n}"]] for row in rows for n in (1, 2, 3))
    assert Counter(vote["verdict"] for vote in votes) == codes and len(votes) == 3 * 999
    about, preferences = imported(source, "preferences", tmp_path / "out.jsonl")
    assert about.dropped["the vote is a tie"] == codes["tie"]
    assert len(preferences) == 2997 - sum(about.dropped.values())


@needs("pandalm")
def test_pandalm_comes_back_as_it_was(tmp_path: Path) -> None:
    """Its contenders stand in the order of their names already; instruction and input are one text."""
    source = REAL_DATA / "pandalm" / "testset-v1.json"
    imported(source, "votes", tmp_path / "votes.jsonl")
    export_file(tmp_path / "votes.jsonl", tmp_path / "back.json", "pandalm")
    rows, back = json.loads(source.read_text()), json.loads((tmp_path / "back.json").read_text())
    same = ("idx", "motivation_app", "cmp_key", "annotator1", "annotator2", "annotator3")
    assert [[row[name] for name in same] for row in back] == [[row[name] for name in same] for row in rows]
    for one, other in zip(back, rows, strict=True):
        assert one["instruction"] == other["instruction"] + (other["input"].strip() and f"\n\n{other['input']}")
        answers = [other[name] for name in ("response1", "response2")]
        assert [one["response1"], one["response2"]] == ["true" if text is True else text for text in answers]


@needs("xstest")
def test_xstest_is_held_out(tmp_path: Path) -> None:
    source = REAL_DATA / "xstest" / "xstest_prompts.csv"
    _, prompts = imported(source, "prompts", tmp_path / "out.jsonl")
    rows = list(csv.DictReader(source.read_text(encoding="utf-8-sig").splitlines(keepends=True)))
    assert [(prompt["prompt"], prompt["category"]) for prompt in prompts] == [
        (row["prompt"], row["label"]) for row in rows
    ]
    assert {prompt["split"] for prompt in prompts} == {"eval"} and len(prompts) == 450
