"""The coverage benchmark: its voters are what they say, its readings too, and a small run catches a false interval."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import coverage, coverage_trials
from benchmarks.coverage import LOW, measure, reading
from benchmarks.coverage_trials import LOOKING, VOTING, Setting, looking, several, voting
from benchmarks.voters import Voters, simulate, truth
from rlhf_core.evaluation.statistics import estimates


@pytest.mark.parametrize(
    "voters",
    [
        Voters(40_000, 2, 3, score=0.6, ties=0.2, both_bad=0.1, tilt=0.1, uneven=True),
        Voters(40_000, 2, 2, score=0.7, ties=0, both_bad=0.2, careless=0.2, side_a=0.15),
        Voters(80_000, 1, 1, score=0.5, length=0.8, longer=0.5),
    ],
)
def test_voters_vote_as_they_should(voters: Voters):
    # 80,000 votes, correlated in pairs: a share is known to ±0.0018·√1.3, four times that is 0.008.
    votes, tilt = simulate(voters, np.random.default_rng(0))
    real = truth(voters, tilt)
    outcome, side_a = votes["outcome"], votes["contender_side"] == "a"
    for name in ("contender", "baseline", "tie", "both_bad"):
        assert (outcome == name).mean() == pytest.approx(real[name], abs=0.008)
    assert votes["score"].mean() == pytest.approx(real["win rate"], abs=0.008)
    decided = outcome.isin(["contender", "baseline"])
    assert ((outcome == "contender") == side_a)[decided].mean() == pytest.approx(real["side A"], abs=0.012)
    assert not votes.duplicated(["prompt_id", "labeller"]).any()


def test_votes_on_one_prompt_correlate_as_they_should():
    votes, _ = simulate(Voters(40_000, 2, 2, correlation=0.4), np.random.default_rng(0))
    pairs = np.stack(votes.sort_values("prompt_id").groupby("prompt_id")["score"].apply(np.array).to_list())
    assert np.corrcoef(pairs.T)[0, 1] == pytest.approx(0.4, abs=0.02)


def test_votes_among_several_follow_davidson():
    # Strengths 0 and log 4, ν = 0.25: weights 1, 4 and 2·0.25·2 = 1 of 6.
    votes = several(np.array([0.0, np.log(4)]), 10_000, 0.25, 0.0, np.random.default_rng(0))
    won = np.where(votes["outcome"] == "contender", votes["contender"], votes["baseline"])
    assert (votes["outcome"] == "tie").mean() == pytest.approx(1 / 6, abs=0.006)
    assert ((won == "c1") & (votes["outcome"] != "tie")).mean() == pytest.approx(4 / 6, abs=0.008)


@pytest.mark.parametrize(
    ("aim", "rate", "said"),
    [
        ("covers", 0.934, "MISSES"), ("covers", 0.936, "within"), ("covers", 0.966, "wider than needed"),
        ("at most", 0.051, "MISSES"), ("at most", 0.05, "within"), ("about", 0.75, "MISSES"), ("about", 0.79, "within"),
    ],
)  # fmt: skip
def test_readings(aim: str, rate: float, said: str):
    assert reading(aim, "win rate", rate, 0.01) == said
    assert reading(aim, "a plain interval, for comparison", rate, 0.01) == ""


def test_what_is_short_may_only_be_labelled():
    assert reading("covers", "mean difference", 0.92, 0.01, "says: resting on few") == "says: resting on few"
    assert reading("covers", "mean difference", 0.95, 0.01, "says: resting on few") == "within"


def test_the_command_prints_and_writes_its_rows(monkeypatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    # A figure that always holds covers too much, one that never does covers too little: exit status 1.
    trials = [Setting("always", lambda rng: {"a": True}), Setting("never", lambda rng: {"b": False}, share=0.5)]
    monkeypatch.setattr(coverage, "SETTINGS", trials)
    assert coverage.main(["--trials", "100", "--quick", "--json", str(tmp_path / "rows.json")]) == 1
    printed = capsys.readouterr().out
    assert "wider than needed" in printed and "MISSES" in printed
    rows = json.loads((tmp_path / "rows.json").read_text("utf-8"))
    assert [(row["setting"], row["rate"], row["trials"]) for row in rows] == [("always", 1.0, 10), ("never", 0.0, 5)]
    monkeypatch.setattr(coverage, "SETTINGS", trials[:1])
    assert coverage.main(["--trials", "10"]) == 0


SMALL = ["30 votes by one labeller, 30% ties", "300 votes, 5 uneven labellers, 3 a prompt, strong prompts"]


@pytest.mark.slow
def test_a_small_run_covers():
    # 600 trials: one standard error of 95% is 0.9 points. A 90% interval would lie 5.6 of them below 95%.
    rows = measure([Setting(name, voting(VOTING[name])) for name in SMALL], 600, seed=1)
    assert len(rows) == 12
    assert all(row.rate > 0.925 for row in rows), rows


@pytest.mark.slow
def test_a_small_run_notices_a_90_percent_interval(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(estimates, "LEVEL", 0.90)
    rows = measure([Setting(name, voting(VOTING[name])) for name in SMALL], 600, seed=1)
    assert all(row.rate < LOW for row in rows if row.figure == "win rate"), rows


@pytest.mark.slow
def test_a_small_run_of_looking_after_every_vote():
    # 600 trials: 5% is known to ±0.9 points; what is true is 2–3% up to 1,000 votes.
    name, voters = next(iter(LOOKING.items()))
    found = {row.figure: row.rate for row in measure([Setting(name, looking(voters), "at most")], 600, seed=1)}
    assert found["may I stop?"] <= 0.05
    assert found["a plain interval, for comparison"] > 0.35


def test_every_setting_runs_once():
    for setting in coverage_trials.SETTINGS:
        held = setting.trial(np.random.default_rng(0))
        assert all(0 <= rate <= 1 for rate in held.values()), setting.name
