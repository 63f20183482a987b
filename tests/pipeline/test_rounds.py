"""A second and a third round on the tiny model, as a user runs them: killed in between, resumed, judged, gone on from."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dashboard.services.launching import log_tail, resume, run_row
from dashboard.services.settings import read_settings
from rlhf_core.config import load_config
from rlhf_core.data.datasets import load_datasets
from rlhf_core.data.splits import normalise
from rlhf_core.report.facts import build_facts
from rlhf_core.runs.directory import STAGES
from rlhf_core.runs.reader import RunReader
from tests.pipeline.test_kill import left_behind

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
TWO_ITERATIONS = ("--set", "ppo.iterations=2")


def python(*arguments: str | Path) -> list[str]:
    return [sys.executable, *map(str, arguments)]


def done(line: Sequence[str]) -> str:
    """Run a command that must succeed, and return what it printed on one line."""
    found = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert found.returncode == 0, found.stderr
    return " ".join((found.stdout + found.stderr).split())


def rlhf(*arguments: str | Path) -> str:
    return done(python("-m", "rlhf_core", *arguments))


def killed_in(stage: str, run: Path, line: Sequence[str]) -> None:
    """Start a command and kill it once the run is in `stage`."""
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            try:
                entry = json.loads((run / "status.json").read_text())["stages"].get(stage)
            except FileNotFoundError:
                entry = None
            if entry is not None and entry["state"] == "running":
                process.kill()
            time.sleep(0.01)
    assert process.returncode < 0, f"{stage} was over before it could be killed"


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Round 1, simulated votes, round 2 with a kill in its reward stage, simulated votes, round 3; what was printed."""
    root = tmp_path_factory.mktemp("rounds")
    rlhf("pipeline", "configs/tiny.yaml", "--set", f"run_root={root}", "--set", "data.limit=64")
    voting = ("scripts/simulate_votes.py", "--labellers", "1")
    done(python(*voting, root / "tiny"))
    second, third = root / "tiny-round2", root / "tiny-round3"
    again = python("-m", "rlhf_core", "round", root / "tiny", "--simulated", *TWO_ITERATIONS)
    killed_in("reward", second, again)
    begun = (second / "data" / "rankings.jsonl").read_bytes()
    said = {"second": done(again)}
    assert (second / "data" / "rankings.jsonl").read_bytes() == begun
    done(python(*voting, second, "--task", "2"))
    said["third"] = rlhf("round", second, "--simulated")
    return {"root": root, "second": second, "third": third, "said": said}


def test_a_killed_round_goes_on_to_its_end(rounds: dict[str, Any]) -> None:
    text = rounds["said"]["second"]
    assert (
        "The round was begun before: its data stay as they are." in text
        and "simulated votes, which no person gave" in text
    )
    assert "Simulated votes decided" in text and "Task 2 (tiny-round2) is open" in text
    status = RunReader(rounds["second"]).status()
    assert status.state == "complete" and {s.name: s.state for s in status.stages} == dict.fromkeys(STAGES, "complete")


def test_a_killed_round_is_gone_on_with_from_the_page(rounds: dict[str, Any], tmp_path: Path) -> None:
    """The second round again, beside a copy of the first: killed in PPO, and resumed as the Runs page does."""
    shutil.copytree(rounds["root"] / "tiny", tmp_path / "tiny")
    for database in rounds["root"].glob("votes.db*"):
        shutil.copy(database, tmp_path)
    run = tmp_path / "tiny-round2"
    killed_in("ppo", run, python("-m", "rlhf_core", "round", tmp_path / "tiny", "--simulated", *TWO_ITERATIONS))
    settings = replace(read_settings({}), run_root=tmp_path, recorded_run=tmp_path / "none")
    assert run_row(settings, run.name).state == "interrupted"
    resume(settings, run.name)
    end = time.monotonic() + 300
    while (row := run_row(settings, run.name)).at_work and time.monotonic() < end:
        time.sleep(0.1)
    assert row.state == "complete" and not row.can_resume, (row.state, row.last_line)
    origin, whole = RunReader(run).lineage(), RunReader(rounds["second"]).lineage()
    assert origin == whole and origin is not None and origin.next_task == 2
    assert "The round was begun before" in log_tail(row.entry, 200) and "Task 2 (tiny-round2) is open" in row.last_line
    expected = left_behind(rounds["second"])
    assert "ppo/metrics.jsonl" in expected and left_behind(run) == expected


def test_the_third_round_goes_on_from_the_second(rounds: dict[str, Any]) -> None:
    origin = RunReader(rounds["third"]).lineage()
    assert origin is not None and (origin.round, origin.parent, origin.task, origin.next_task) == (
        3,
        "tiny-round2",
        2,
        3,
    )
    assert (
        "tuned (round 3) against round-2 (the round before) and base (where round 1 began)" in rounds["said"]["third"]
    )
    assert RunReader(rounds["third"]).contenders() == ["base", "round-2", "tuned"]


def test_no_prompt_is_trained_on_and_judged_on(rounds: dict[str, Any]) -> None:
    held_out = None
    for run in (rounds["root"] / "tiny", rounds["second"], rounds["third"]):
        data = load_datasets(load_config(run / "config.yaml").data)
        answered = {row.prompt_id for row in RunReader(run).completions("tuned")}
        assert answered == {row.id for row in data.eval_prompts}
        learnt = {normalise(row.transcript) for row in (*data.train_prompts, *data.rankings, *data.demonstrations)}
        assert not learnt & {normalise(row.transcript) for row in data.eval_prompts}
        assert held_out is None or answered < held_out  # a prompt that was once trained on never comes back
        held_out = answered


def test_ppo_starts_from_the_round_before_which_is_its_reference(rounds: dict[str, Any]) -> None:
    """Before the first step the policy is its reference; the adapter of the round lies on the model of the one before."""
    about = json.loads((rounds["third"] / "ppo" / "model" / "policy.json").read_text())
    assert about == {"base": "../../../tiny-round2/ppo/model"}
    for name in ("second", "third"):
        kl = RunReader(rounds[name]).metrics("ppo")["objective/kl"].dropna()
        assert kl.iloc[0] == pytest.approx(0.0, abs=1e-4)


def test_the_same_base_answers_in_every_round(rounds: dict[str, Any]) -> None:
    """`base` is the model round 1 began with, and round-1 the tuned model of that run."""
    second, third = (load_config(rounds[name] / "round.yaml") for name in ("second", "third"))
    assert second.generate.models == {"base": "tiny", "round-1": str(rounds["root"] / "tiny" / "ppo" / "model")}
    assert third.generate.models == {"base": "tiny", "round-2": str(rounds["second"] / "ppo" / "model")}


def test_the_report_says_where_the_round_comes_from(rounds: dict[str, Any]) -> None:
    facts = build_facts(rounds["second"])
    assert (facts.baseline, facts.contender) == ("round-1", "tuned")
    assert facts.caveats[0].startswith("This round learnt from simulated votes, which no person gave")
    assert facts.lineage == RunReader(rounds["second"]).lineage() is not None
    assert facts.against_votes is not None and facts.against_votes["simulated"]


def test_done_again_everything_is_skipped_and_the_task_is_the_same(rounds: dict[str, Any]) -> None:
    text = rlhf("round", rounds["second"], "--simulated")
    assert all(f"{stage}: complete with the same inputs: skipped" in text for stage in STAGES)
    assert "Task 3 (tiny-round3) is open" in text
    alone = rlhf("pipeline", rounds["third"] / "round.yaml")
    assert all(f"{stage}: complete with the same inputs: skipped" in alone for stage in STAGES)
