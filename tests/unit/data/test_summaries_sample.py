"""The summaries in sample_data/ keep their promises: rows are read, sizes, lengths, no shortcut, the datasheet's figures."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import groupby, pairwise
from pathlib import Path
from statistics import median

import pytest

from rlhf_core.data.splits import near_duplicates, normalise
from tests.exchange_rows import Row, imported, read_rows

SUMMARIES = Path(__file__).resolve().parents[3] / "sample_data" / "summaries"
SIZES = {"preference": 72, "prompts": 40, "eval": 20}


def words(text: str) -> int:
    return len(text.split())


@pytest.fixture(scope="module")
def files() -> dict[str, list[Row]]:
    return {name: read_rows(SUMMARIES / f"{name}.jsonl") for name in SIZES}


@pytest.fixture(scope="module")
def pairs(files: dict[str, list[Row]]) -> list[tuple[str, str]]:
    """Return (better, worse) of every pair."""
    return [(row[f"candidate_{row['choice']}"], row[f"candidate_{1 - row['choice']}"]) for row in files["preference"]]


@pytest.fixture(scope="module")
def datasheet() -> str:
    return " ".join((SUMMARIES / "README.md").read_text(encoding="utf-8").split())


def test_rows_hold_the_fields_of_the_pipeline_and_no_others(files: dict[str, list[Row]]) -> None:
    assert {name: len(rows) for name, rows in files.items()} == SIZES
    for row in files["preference"]:
        assert list(row) == ["input_text", "candidate_0", "candidate_1", "choice"] and type(row["choice"]) is int
    assert all(list(row) == ["input_text"] for name in ("prompts", "eval") for row in files[name])
    texts = [value for rows in files.values() for row in rows for value in row.values() if isinstance(value, str)]
    assert all(text == text.strip() for text in texts)


@pytest.mark.parametrize(
    ("name", "kind", "form"),
    [
        ("preference", "preferences", "gcpc-preference"),
        ("prompts", "prompts", "gcpc-prompt"),
        ("eval", "prompts", "gcpc-prompt"),
    ],
)
def test_the_importer_keeps_every_row_as_it_is(files, tmp_path: Path, name: str, kind: str, form: str) -> None:
    about, records = imported(SUMMARIES / f"{name}.jsonl", kind, tmp_path / "out.jsonl")
    assert (about.format, about.read, about.written) == (form, SIZES[name], SIZES[name])
    assert (about.merged, about.rejected, about.dropped, about.notes) == (0, 0, Counter(), Counter())
    assert [record["prompt"] for record in records] == [row["input_text"] for row in files[name]]


def test_the_importer_takes_the_chosen_candidate_for_the_better_one(pairs, tmp_path: Path) -> None:
    _, records = imported(SUMMARIES / "preference.jsonl", "preferences", tmp_path / "out.jsonl")
    assert [(record["chosen"], record["rejected"]) for record in records] == pairs


def test_no_text_occurs_twice_and_none_nearly_repeats_one_of_eval(files: dict[str, list[Row]]) -> None:
    texts = {f"{name}:{n}": row["input_text"] for name, rows in files.items() for n, row in enumerate(rows, 1)}
    assert [text for text, times in Counter(map(normalise, texts.values())).items() if times > 1] == []
    held_out = {place: text for place, text in texts.items() if place.startswith("eval:")}
    others = {place: text for place, text in texts.items() if place not in held_out}
    assert near_duplicates(held_out, others) == []


def test_no_candidate_occurs_twice(pairs: list[tuple[str, str]]) -> None:
    times = Counter(normalise(text) for pair in pairs for text in pair)
    assert [text for text, count in times.items() if count > 1] == []


def test_texts_and_summaries_are_of_the_lengths_promised(files, pairs: list[tuple[str, str]]) -> None:
    for rows in files.values():
        assert [row["input_text"] for row in rows if not 40 <= words(row["input_text"]) <= 80] == []
    assert [text for pair in pairs for text in pair if not 8 <= words(text) <= 45] == []


def test_summaries_are_one_to_three_sentences_and_better_ones_are_one(pairs: list[tuple[str, str]]) -> None:
    def sentences(text: str) -> int:
        assert re.search(r"[.!?]\"?$", text), text
        return len(re.findall(r"[.!?]+\"?(?=\s+[A-Z]|$)", text))

    assert [better for better, _ in pairs if sentences(better) != 1] == []
    assert [worse for _, worse in pairs if not 1 <= sentences(worse) <= 3] == []


def test_position_does_not_give_the_answer_away(files: dict[str, list[Row]]) -> None:
    choices = [row["choice"] for row in files["preference"]]
    assert 0.4 <= sum(choices) / len(choices) <= 0.6
    assert max(len(list(run)) for _, run in groupby(choices)) <= 8
    # Of 71 neighbours, fair coins differ in 35.5 with a standard deviation of 4.2; 3 of those on either side.
    assert 23 <= sum(a != b for a, b in pairwise(choices)) <= 48


@pytest.mark.parametrize("length", [len, words])
def test_length_does_not_give_the_answer_away(pairs: list[tuple[str, str]], length) -> None:
    assert 0.3 <= sum(length(better) > length(worse) for better, worse in pairs) / len(pairs) <= 0.45
    assert max(nearest(pairs, length).values()) <= len(pairs) * 2 / 3


def nearest(pairs: list[tuple[str, str]], length) -> dict[int, int]:
    """Return, for every length, how often the better summary is the one nearer to it: what a rule of length could earn."""
    return {
        ideal: sum(abs(length(better) - ideal) < abs(length(worse) - ideal) for better, worse in pairs)
        for ideal in range(400)
    }


def test_the_datasheet_counts_what_is_in_the_files(files, pairs, datasheet: str) -> None:
    def spread(texts: list[str]) -> str:
        counts = [words(text) for text in texts]
        return f"{median(counts):g} ({min(counts)} to {max(counts)})"

    ones, longer = sum(row["choice"] for row in files["preference"]), sum(words(a) > words(b) for a, b in pairs)
    earned = max(nearest(pairs, words).values())
    for sentence in (
        *(f"| `{name}.jsonl` | {size} |" for name, size in SIZES.items()),
        f"texts have a median of {spread([row['input_text'] for rows in files.values() for row in rows])}",
        f"better summaries of {spread([better for better, _ in pairs])}",
        f"worse ones of {spread([worse for _, worse in pairs])}",
        f"`choice` is 0 in {len(pairs) - ones} rows and 1 in {ones}",
        f"the longer one in {longer} of {len(pairs)} pairs ({longer / len(pairs):.0%})",
        f"right in more than {earned} of {len(pairs)} pairs ({earned / len(pairs):.0%})",
    ):
        assert sentence in datasheet
    reasons = [int(count) for count in re.findall(r"[a-z] \| (\d+) \|", datasheet.partition("| reason | pairs |")[2])]
    assert len(reasons) == 7 and sum(reasons) == len(pairs)
    copies = sum(
        row["input_text"].startswith(worse) for row, (_, worse) in zip(files["preference"], pairs, strict=True)
    )
    assert f"copies how the text begins | {copies} |" in datasheet


def test_the_datasheet_states_the_rule_the_origin_and_the_licence(datasheet: str) -> None:
    order = [datasheet.index(f"**{name}.**") for name in ("Truth", "Coverage", "Brevity")]
    assert order == sorted(order)
    for part in ('"Summarise the text in one sentence."', "written for this project", "CC0 1.0", "English only"):
        assert part in datasheet


def test_the_texts_hold_no_instruction(files: dict[str, list[Row]]) -> None:
    """The pipeline puts its own before each; a second one would be summarised with the text."""
    texts = json.dumps(files).lower()
    assert re.findall(r"summar(?:y|ies|is|iz)", texts) == []
