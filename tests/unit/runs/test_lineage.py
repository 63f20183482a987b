"""Where a round comes from, written, read and said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rlhf_core.errors import RunError
from rlhf_core.runs.lineage import Lineage, write_lineage
from rlhf_core.runs.reader import RunReader
from rlhf_core.terminal import print_runs

ORIGIN = Lineage(
    round=2, parent="first", task=3, criterion="overall", instruction_versions=["abc"], simulated=False, votes=96,
    labellers=2, agreement=0.75, votes_digest="d", prompts_moved=48, prompts_tested=47, rankings=40, votes_share=0.25,
    earlier_weight=0.5,
)  # fmt: skip


def test_a_lineage_is_read_as_it_was_written(tmp_path: Path):
    assert RunReader(tmp_path).lineage() is None
    write_lineage(tmp_path, ORIGIN)
    assert RunReader(tmp_path).lineage() == ORIGIN


def test_it_says_where_the_round_comes_from():
    assert ORIGIN.sentence == (
        "Round 2, from first and 96 votes on task 3 (overall; instructions abc) by 2 labellers, who agree in 75% of pairs "
        "of votes on one item. 48 judged prompts joined the training data with 40 rankings, 47 stayed held out."
    )
    assert ORIGIN.brief == "first, 96 votes"


def test_simulated_votes_are_called_so_and_one_labeller_agrees_with_nobody():
    trial = replace(ORIGIN, simulated=True, labellers=1, agreement=None)
    assert "from first and 96 simulated votes, which no person gave, on task 3" in trial.sentence
    assert "by 1 made-up labeller. 48 judged" in trial.sentence
    assert trial.brief == "first, 96 simulated votes"


def test_a_damaged_lineage_names_what_it_lacks(tmp_path: Path):
    (tmp_path / "lineage.json").write_text(json.dumps({"round": 2, "parent": "first"}), encoding="utf-8")
    with pytest.raises(RunError, match=r"lineage\.json: lacks task, criterion, .*Put the file back as it was"):
        RunReader(tmp_path).lineage()


def test_the_list_of_runs_tells_the_origin_below_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("first", "first-round2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "status.json").write_text('{"state": "complete", "stages": {}}', encoding="utf-8")
    write_lineage(tmp_path / "first-round2", ORIGIN)
    print_runs(tmp_path)
    assert capsys.readouterr().out.endswith("first-round2: round 2, from first, 96 votes\n")
