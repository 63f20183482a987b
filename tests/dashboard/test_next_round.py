"""What the pages say of rounds: how a judged run goes on, to whom that is said, and where a later round comes from."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from dashboard.services.access import Visitor
from dashboard.services.catalogue import RunEntry
from dashboard.services.next_round import next_round
from dashboard.services.settings import read_settings
from rlhf_core.data.io import write_json
from rlhf_core.rounds.begin import RoundRequest, begin_round
from rlhf_core.runs.lineage import next_folder, next_number
from tests.dashboard.conftest import Studio, said
from tests.round_factory import judge_all, write_parent


@pytest.fixture
def judged(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run whose 40 pairs Ana has judged, its votes beside it."""
    run = write_parent(studio.root)
    judge_all(run, lambda n: "tuned" if n % 4 else "base")
    monkeypatch.setenv("RLHF_VOTES", str(studio.runs / "votes.db"))
    return run


def test_results_of_a_judged_run_show_the_command_of_the_next_round(studio: Studio, judged: Path) -> None:
    app = studio.open("Results", run="first")
    assert not app.exception and not app.error
    assert "#### The next round" in said(app)
    assert [block.value for block in app.code] == [f"rlhf round {judged}"]


def test_votes_that_lie_elsewhere_are_named_in_the_command(
    studio: Studio, judged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = studio.root / "all votes.db"
    (studio.runs / "votes.db").rename(elsewhere)
    monkeypatch.setenv("RLHF_VOTES", str(elsewhere))
    found = next_round(read_settings(), RunEntry(judged))
    assert found and shlex.split(found.command) == ["rlhf", "round", str(judged), "--votes", str(elsewhere)]


def test_without_votes_models_or_an_end_there_is_no_next_round(studio: Studio, judged: Path) -> None:
    settings, entry = read_settings(), RunEntry(judged)
    assert next_round(settings, entry) is not None
    assert next_round(replace(settings, visitor=Visitor("Rita", "reviewer")), entry) is None
    assert next_round(replace(settings, votes=str(studio.root / "none.db")), entry) is None
    write_json(judged / "status.json", {"state": "running", "stages": {}})
    assert next_round(settings, entry) is None
    write_json(judged / "status.json", {"state": "complete", "stages": {}})
    assert next_round(settings, entry) is not None
    (judged / "reward" / "model").rmdir()
    assert next_round(settings, entry) is None


def test_a_begun_round_is_named_instead_and_says_where_it_comes_from(studio: Studio, judged: Path) -> None:
    begun = begin_round(RoundRequest(judged))
    (begun.path / "config.yaml").write_text((begun.path / "round.yaml").read_text())
    app = studio.open("Results", run="first")
    assert "Round 2 learns from votes on this run." in said(app) and not app.code
    assert "round 2, from first, 40 votes" in said(studio.open("Overview", run="first-round2"))
    assert (next_number(begun.lineage), next_folder(begun.path, begun.lineage).name) == (3, "first-round3")
