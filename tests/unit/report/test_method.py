"""How a result came about, as a report tells it: method, data, labellers and their instructions, limits, commands."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rlhf_core.data.records import ContenderCompletion
from rlhf_core.feedback.collect import judging_of_run
from rlhf_core.feedback.records import InstructionVersion
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import build_task
from rlhf_core.report.exports import csv_tables
from rlhf_core.report.facts import build_facts
from rlhf_core.report.html import render_html
from rlhf_core.report.markdown import render_markdown
from rlhf_core.report.method import data, limitations, method, reproduce
from rlhf_core.report.parts import Facts
from rlhf_core.runs.reader import RunReader
from tests.run_factory import vote_frame, vote_rows, write_run

SETTINGS: dict[str, Any] = {
    "data": {"prompts": "p.jsonl", "rankings": "r.jsonl", "refusal_prompts": None},
    "policy": {"model": "org/base", "lora": {"r": 8, "targets": "attention"}, "system_prompt": "Be brief."},
    "sft": {"epochs": 1},
    "reward": {"model": "org/scorer"},
    "ppo": {
        "iterations": 10, "batch_size": 32, "kl_coef": 0.05, "clip_range": 0.2,
        "rewards": [{"kind": "learned", "category": "harmless"}, {"kind": "toxicity", "name": "mild"}],
        "audits": [{"kind": "toxicity", "name": "profanity"}],
    },
    "generate": {"temperature": 0.7, "max_new_tokens": 64},
}  # fmt: skip


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """The facts of a complete run with votes."""
    return build_facts(write_run(tmp_path_factory.mktemp("runs") / "demo"), vote_frame())


def told(facts: Facts, settings: dict[str, Any]) -> dict[str, str]:
    return {passage.title: passage.text for passage in (*method(facts, settings), *data(facts, settings))}


def test_the_method_says_what_the_configuration_says(facts: Facts):
    found = told(facts, SETTINGS)
    assert found["Compared"] == (
        "The tuned model against the base model on 12 held-out prompts, sampled at temperature 0.7 with at most 64 new tokens. "
        "Every contender had the system prompt “Be brief.”"
    )
    assert found["Trained"] == (
        "The policy began as org/base (LoRA of rank 8 on the attention layers). It was fine-tuned on demonstrations for up to "
        "1 epoch. PPO then ran for up to 10 iterations of 32 responses, with a KL price of 0.05 and a clip range of 0.2."
    )
    assert found["Rewarded"] == (
        "PPO was rewarded by: learned harmless, toxicity mild. The learned reward model began as org/scorer. "
        "Measured and never optimised: profanity."
    )
    assert "2 people gave 24 votes on 12 prompts: two answers side by side without names" in found["Judged by people"]
    assert "Test of refusals" not in found and (found["Prompts"], found["Rankings"]) == ("p.jsonl", "r.jsonl")
    assert found["Held-out prompts"].startswith("12: 4 ") and "110 pairs from 39 prompts" in found["Held-out rankings"]


def test_a_run_without_its_configuration_says_less(facts: Facts):
    found = told(facts, {})
    assert found["Compared"] == "The tuned model against the base model on 12 held-out prompts."
    assert not {"Trained", "Rewarded", "Prompts"} & found.keys()
    all_weights = told(facts, {"policy": {"model": "m", "lora": None}, "sft": None})["Trained"]
    assert all_weights == "The policy began as m (all weights trained). It was not fine-tuned on demonstrations first."


def test_limits_follow_from_the_facts(facts: Facts):
    said = limitations(facts)
    assert any("does not say what others would choose" in text for text in said)
    assert any("Over-refusal was not tested" in text for text in said)
    assert "One training run with seed 0; other seeds reach other figures." in said
    unjudged = limitations(replace(facts, human_votes=()))
    assert unjudged[0] == "Nobody has judged its answers, so nothing here shows what people prefer."
    assert not any("others would choose" in text for text in unjudged)


def test_the_commands_make_the_same_report_again(facts: Facts):
    moment = replace(facts.provenance, made="1970-01-02T00:00:00+00:00")
    commands = {p.title: p.text for p in reproduce(replace(facts, provenance=moment))}
    assert commands["This report"] == "SOURCE_DATE_EPOCH=86400 rlhf report demo --out report"  # a day has 86400 seconds
    assert commands["The code"] == "git checkout 0123456789abcdef0123456789abcdef01234567"
    assert commands["The run"] == "rlhf pipeline configs/quickstart.yaml"


def with_gold() -> pd.DataFrame:
    """The votes of two people on twelve items, a gold item that only ana gets right, and a repeat that ben answers otherwise."""
    rows = vote_rows()
    for row in [rows[0], rows[12]]:
        gold = row | {"vote_id": len(rows) + 1, "item_id": 50, "kind": "gold", "gold": "contender"}
        rows.append(gold | {"outcome": "contender" if row["labeller"] == "ana" else "baseline"})
    first = rows[12]
    other = "baseline" if first["outcome"] == "contender" else "contender"
    rows.append(first | {"vote_id": len(rows) + 1, "kind": "repeat", "repeat_of": first["item_id"], "outcome": other})
    return pd.DataFrame(rows)


def test_gold_items_and_repeats_tell_of_labellers_and_enter_no_other_figure(tmp_path: Path):
    run = write_run(tmp_path / "demo")
    plain, facts = build_facts(run, vote_frame()), build_facts(run, with_gold())
    assert facts.measures == plain.measures and facts.human_votes == plain.human_votes
    ana, ben = facts.labellers
    assert (ana["labeller"], ana["gold_k"], ana["gold_n"], ben["gold_k"]) == ("labeller 1", 1, 1, 0)
    assert (ana["consistency"], ben["consistency_k"], ben["consistency_n"]) == (None, 0, 1)
    text = render_markdown(facts)
    assert "| labeller 1 | 12 | 100% of 1 | – |" in text and "| labeller 2 | 12 | 0% of 1 | 0% of 1 |" in text
    assert "Known answers right" not in render_markdown(plain)
    assert len(csv_tables(facts)["labellers.csv"].strip().split("\r\n")) == 3


def test_instructions_stand_in_the_report_as_text(tmp_path: Path):
    shown = InstructionVersion("abc", "# Prefer <b>help</b>\n\n```\n* as it is", "2026-01-01", 24)
    facts = build_facts(write_run(tmp_path / "demo"), vote_frame(), [shown])
    assert "Instructions to labellers, version abc: 24 votes given under it" in render_markdown(facts)
    assert "````text\n# Prefer <b>help</b>" in render_markdown(facts)
    assert "# Prefer &lt;b&gt;help&lt;/b&gt;" in render_html(facts)


def test_the_store_gives_votes_with_their_instructions(tmp_path: Path):
    run = write_run(tmp_path / "demo")
    reader = RunReader(run)
    sides: list[list[ContenderCompletion]] = [reader.completions(name) for name in ("base", "tuned")]
    with closing(VoteStore(tmp_path / "votes.db")) as store:
        task = store.ensure_task(build_task("demo", sides, "Choose.", 0))
        item = store.next_item(task, "ana")
        assert item is not None
        store.vote(item.token, "a", reading_seconds=2)
    found = judging_of_run(run, tmp_path / "votes.db")
    assert found is not None and [(v.text, v.votes) for v in found.instructions] == [("Choose.", 1)]
    facts = build_facts(run, found.votes, found.instructions)
    assert facts.human_votes[0].n == 1 and facts.instructions == found.instructions
    assert judging_of_run(run, tmp_path / "none.db") is None


def test_several_criteria_stand_beside_one_another(tmp_path: Path):
    votes = pd.concat([vote_frame(), vote_frame().assign(criterion="helpful")], ignore_index=True)
    facts = build_facts(write_run(tmp_path / "demo"), votes)
    text = render_markdown(facts)
    assert "## Win rates by criterion" in text
    for criterion in ("overall", "helpful"):
        assert f"| {criterion} | tuned model against base model | 81.2% [52.3, 94.5] | 24 |" in text
    assert "Win rates by criterion" in render_html(facts)
    assert "Win rates by criterion" not in render_markdown(build_facts(write_run(tmp_path / "one"), vote_frame()))
