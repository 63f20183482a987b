"""What a report says of a later round: its origin, its reward models against the votes, and that a trial is one."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rlhf_core.data.io import write_json
from rlhf_core.report.exports import csv_tables, render_json
from rlhf_core.report.facts import build_facts
from rlhf_core.report.html import render_html
from rlhf_core.report.markdown import render_markdown
from rlhf_core.report.rounds import against_votes
from rlhf_core.runs.lineage import Lineage, write_lineage
from tests.run_factory import write_run

ORIGIN = Lineage(
    round=2, parent="first", task=3, criterion="overall", instruction_versions=["abc"], simulated=True, votes=96,
    labellers=2, agreement=0.75, votes_digest="d", prompts_moved=48, prompts_tested=47, rankings=40, votes_share=0.25,
    earlier_weight=0.5,
)  # fmt: skip
TEST: dict[str, Any] = {
    "criterion": "overall", "simulated": False, "pairs": 47, "prompts": 46, "decided_by_people": 40, "one_side": 0.6,
    "models": {"round-1": {"decided": {"value": 0.65, "low": 0.5, "high": 0.78}}, "round-2": {"decided": None}},
    "difference": {"value": 0.1, "low": -0.05, "high": 0.25},
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = write_run(tmp_path / "first-round2")
    write_lineage(path, ORIGIN)
    write_json(path / "evaluation" / "reward_against_votes.json", TEST)
    return path


def test_the_test_of_reward_models_in_sentences():
    assert against_votes(TEST) == (
        "People decided 40 of 47 pairs on 46 held-out prompts that no reward model was trained on.",
        "The reward model that made the tuned model of round 1 agrees on 65.0% [50.0, 78.0].",
        "The reward model that made the tuned model of round 2 agrees on none that both decided.",
        "The later less the earlier: +10.0 points [−5.0, 25.0].",
        "Always choosing the side preferred more often, without reading, would be right on 60.0%.",
    )
    undecided = TEST | {"simulated": True, "one_side": None, "difference": None, "decided_by_people": 0}
    assert len(against_votes(undecided)) == 3 and against_votes(undecided)[0].startswith(
        "Simulated votes decided 0 of 47"
    )


def test_every_format_says_where_the_round_comes_from(run: Path):
    facts = build_facts(run)
    for text in (render_markdown(facts), render_html(facts)):
        assert "Where this round comes from" in text and "Round 2, from first and 96 simulated votes" in text
        assert "The later less the earlier: +10.0 points" in text
    assert json.loads(render_json(facts))["lineage"]["parent"] == "first"
    tables = csv_tables(facts)
    rows = list(csv.DictReader(io.StringIO(tables["reward_against_votes.csv"])))
    assert [(row["reward_model_of"], row["value"]) for row in rows] == [("round-1", "0.65"), ("difference", "0.1")]
    assert tables["lineage.csv"].count("\n") == 2


def test_a_trial_says_first_that_no_person_gave_its_votes(run: Path):
    assert build_facts(run).caveats[0].startswith("This round learnt from simulated votes, which no person gave")
    write_lineage(run, replace(ORIGIN, simulated=False))
    assert not any("learnt from simulated" in caveat for caveat in build_facts(run).caveats)


def test_a_first_run_says_nothing_of_rounds(tmp_path: Path):
    facts = build_facts(write_run(tmp_path / "first"))
    assert facts.lineage is None and facts.against_votes is None
    assert "Where this round comes from" not in render_markdown(facts) + render_html(facts)
