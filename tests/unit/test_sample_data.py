"""The data in sample_data/ keeps its promises: counts, splits, lengths, sources, and the datasheet's figures."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from rlhf_core.config import load_config
from rlhf_core.data.check import check_files, longer_wins
from rlhf_core.data.datasets import Datasets, load_datasets
from rlhf_core.data.splits import near_duplicates, normalise

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "sample_data"
CATEGORIES = {"helpful", "honest", "harmful", "borderline"}


@pytest.fixture(scope="module")
def data() -> Datasets:
    return load_datasets(load_config(ROOT / "configs" / "quickstart.yaml").data)


@pytest.fixture(scope="module")
def datasheet() -> str:
    return " ".join((SAMPLE / "README.md").read_text(encoding="utf-8").split())


def test_there_is_enough_of_everything(data: Datasets) -> None:
    assert len(data.train_prompts) + len(data.eval_prompts) >= 320
    assert len({d.prompt for d in data.demonstrations}) >= 240
    assert len({r.prompt for r in data.rankings}) >= 280


def test_every_category_is_in_both_splits_and_every_file(data: Datasets) -> None:
    for rows in (data.train_prompts, data.eval_prompts, data.demonstrations, data.rankings):
        counts = Counter(row.category for row in rows)
        assert counts.keys() == CATEGORIES
        assert min(counts.values()) >= 20


def test_rankings_have_three_or_four_different_completions(data: Datasets) -> None:
    for row in data.rankings:
        texts = {normalise(c.text) for c in row.completions}
        assert 3 <= len(row.completions) <= 4 and len(texts) == len(row.completions), row.id
        assert row.pairs(), row.id


def test_completions_of_the_base_model_are_among_them(data: Datasets) -> None:
    sources = Counter(c.source for r in data.rankings for c in r.completions)
    assert sources.keys() == {"written", "smollm2-135m-instruct"}
    assert min(sources.values()) >= 280


def test_a_sampled_completion_beats_a_written_one_often_enough(data: Datasets) -> None:
    """Otherwise the author's style alone would give the answer away."""
    sides = Counter()
    for row in data.rankings:
        source = {c.text: c.source for c in row.completions}
        sides.update((source[chosen], source[rejected]) for chosen, rejected in row.pairs())
    upsets, expected = sides["smollm2-135m-instruct", "written"], sides["written", "smollm2-135m-instruct"]
    assert upsets / (upsets + expected) >= 0.2


@pytest.mark.parametrize("length", [len, lambda text: len(text.split())], ids=["characters", "words"])
def test_length_does_not_give_the_answer_away(data: Datasets, length) -> None:
    share = longer_wins(data.rankings, length)
    assert share is not None and 0.45 <= share <= 0.58


def test_length_does_not_give_the_answer_away_in_any_category(data: Datasets) -> None:
    for category in CATEGORIES:
        share = longer_wins([r for r in data.rankings if r.category == category])
        assert share is not None and 0.35 <= share <= 0.65, (category, share)


def test_no_held_out_prompt_nearly_repeats_a_training_text(data: Datasets) -> None:
    held_out = {p.id: p.prompt for p in data.eval_prompts}
    train = {row.id: row.prompt for rows in (data.train_prompts, data.demonstrations, data.rankings) for row in rows}
    assert near_duplicates(held_out, train) == []
    answers = {d.id: d.response for d in data.demonstrations}
    assert near_duplicates(held_out, answers) == []


def test_no_prompt_repeats_within_a_file(data: Datasets) -> None:
    for rows in (data.train_prompts + data.eval_prompts, data.demonstrations, data.rankings):
        prompts = [normalise(row.prompt) for row in rows]
        assert len(set(prompts)) == len(prompts)


def test_demonstrations_and_rankings_point_to_their_prompts(data: Datasets) -> None:
    known = {p.id: p for p in data.train_prompts}
    for row in [*data.demonstrations, *data.rankings]:
        assert (known[row.prompt_id].prompt, known[row.prompt_id].category) == (row.prompt, row.category)


def test_the_checker_has_nothing_to_complain_of() -> None:
    lines = check_files(sorted(SAMPLE.glob("*.jsonl")))
    assert len(lines) == 3 and not [line for line in lines if "nearly repeats" in line]


def test_the_datasheet_has_its_parts() -> None:
    headings = re.findall(r"^## (.+)$", (SAMPLE / "README.md").read_text(encoding="utf-8"), re.M)
    assert headings == [
        "Motivation",
        "Composition",
        "Collection",
        "Known limits",
        "Uses",
        "Other files here",
        "Licence",
    ]


def test_the_datasheet_counts_what_is_in_the_files(data: Datasets, datasheet: str) -> None:
    sizes = Counter(len(r.completions) for r in data.rankings)
    ties = sum(any(len(group) > 1 for group in r.ranking) for r in data.rankings)
    sources = Counter(c.source for r in data.rankings for c in r.completions)
    pairs = sum(len(r.pairs()) for r in data.rankings)
    best = Counter(name for r in data.rankings for name in r.ranking[0])
    for sentence in (
        f"| 400 | {len(data.train_prompts)} train, {len(data.eval_prompts)} held out",
        f"`demonstrations.jsonl` | {len(data.demonstrations)} |",
        f"`rankings.jsonl` | {len(data.rankings)} | one ranking per training prompt: "
        f"{sizes[4]} of 4 completions, {sizes[3]} of 3; {ties} contain a tie",
        f"{sources.total():,} completions: {sources['written']} written",
        f"and {sources['smollm2-135m-instruct']} sampled",
        f"{pairs:,} untied pairs",
        f"the preferred one in {longer_wins(data.rankings):.0%} of pairs",
        f"best in {best['a']} of {len(data.rankings)} rankings, b in {best['b']}, c in {best['c']}, d in {best['d']}",
    ):
        assert sentence in datasheet
    assert len(data.train_prompts) + len(data.eval_prompts) == 400


def test_the_datasheet_names_the_licence_and_the_limits(datasheet: str) -> None:
    assert "CC0 1.0" in datasheet and "English only" in datasheet and "must not be used as a safety filter" in datasheet


def test_labellers_are_told_task_criteria_choices_and_doubtful_cases() -> None:
    text = (SAMPLE / "labelling_instructions.md").read_text(encoding="utf-8")
    criteria = [text.index(f"**{name}.**") for name in ("Harmless", "Honest", "Helpful", "Concise")]
    assert criteria == sorted(criteria)
    for part in ("**Tie**", "**Both bad**", "**Skip**", "**A refusal.**", "**A false premise.**", "**Cut off.**"):
        assert part in text
    for contender in ("base model", "tuned", "SFT", "SmolLM"):  # what could hint at a side
        assert contender not in text
