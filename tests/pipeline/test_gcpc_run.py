"""A job of Google Cloud's pipeline on tiny models, with the worked example as it is shipped: parameters in, a report out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rlhf_core.runs.reader import RunReader
from tests.command import succeed

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
JOB = ROOT / "sample_data" / "summaries" / "params.yaml"
SMALL = (
    "policy.model=tiny", "policy.max_prompt_tokens=700", "reward={model: tiny, epochs: 1, normalise_on: 8, max_length: 700}",
    "sft={epochs: 1, max_length: 1000, eval_every: 50}", "ppo.iterations=2", "ppo.batch_size=4", "ppo.minibatch_size=2",
    "ppo.micro_batch_size=2", "ppo.response_length=8", "ppo.eval_prompts=4", "generate.max_new_tokens=300",
    "evaluate.bootstrap=200",
)  # fmt: skip


def rlhf_gcpc(folder: Path) -> str:
    """Run the shipped job in a folder, with its runs there; return what the command says."""
    sets = [part for one in (*SMALL, f"run_root={folder}/runs") for part in ("--set", one)]
    command = [sys.executable, "-m", "rlhf_core", "gcpc", str(JOB), "--out", str(folder / "data"), *sets]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of the shipped job."""
    folder = tmp_path_factory.mktemp("gcpc")
    assert "summaries: sft, reward, ppo, generate, evaluate complete" in rlhf_gcpc(folder)
    return folder / "runs" / "summaries"


def test_every_contender_answers_the_prompts_that_were_held_out(run: Path) -> None:
    held_out = [json.loads(line)["input_text"] for line in (JOB.parent / "eval.jsonl").read_text().splitlines()]
    reader = RunReader(run)
    for contender in ("base", "sft", "tuned"):
        assert [row.prompt for row in reader.completions(contender)] == held_out
    assert reader.config()["policy"]["system_prompt"] == "Summarise the text in one sentence."


def test_the_same_command_again_does_nothing_twice(run: Path) -> None:
    before = (run / "ppo" / "metrics.jsonl").stat().st_mtime_ns
    rlhf_gcpc(run.parents[1])
    assert (run / "ppo" / "metrics.jsonl").stat().st_mtime_ns == before
    assert not list(run.glob("*.before-*"))


def test_its_report_is_written(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    succeed(capsys, "report", run, "--out", tmp_path, "--formats", "md")
    assert "20 held-out prompts" in (tmp_path / "report.md").read_text()
