"""The whole pipeline on the tiny model, as a user runs it: `python -m rlhf_core pipeline configs/tiny.yaml`."""

from __future__ import annotations

import json
import math
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from rlhf_core.data.io import read_jsonl
from rlhf_core.data.records import ContenderCompletion
from rlhf_core.report.exports import write_report
from rlhf_core.runs.directory import STAGES
from rlhf_core.runs.metrics import REGISTRY, find_metric
from rlhf_core.runs.reader import RunReader

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
BOOKKEEPING = {"step", "time"}


def command(root: Path, *arguments: str, words: str = "pipeline") -> list[str]:
    return [sys.executable, "-m", "rlhf_core", words, "configs/tiny.yaml", "--set", f"run_root={root}", *arguments]


def rlhf(root: Path, *arguments: str, words: str = "pipeline") -> subprocess.CompletedProcess[str]:
    line = command(root, *arguments, words=words)
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=500)


def rows(run: Path, stage: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / stage / "metrics.jsonl").read_text().splitlines()]


def status(run: Path) -> dict[str, Any]:
    return json.loads((run / "status.json").read_text())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, float]]:
    """One finished run: its folder, what the command printed, and the processor seconds it took."""
    root = tmp_path_factory.mktemp("runs")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = rlhf(root)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    yield root / "tiny", done.stdout + done.stderr, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.fixture(scope="module")
def run(finished: tuple[Path, str, float]) -> Path:
    return finished[0]


def test_it_takes_less_than_twenty_seconds(finished: tuple[Path, str, float]) -> None:
    """Processor seconds on one thread: the time it takes where nothing else runs."""
    assert finished[2] < 20


def test_it_says_what_it_did_and_what_is_next_and_no_library_chatters(finished: tuple[Path, str, float]) -> None:
    text = " ".join(finished[1].split())
    for stage in STAGES:
        assert f"{stage}: started" in text and f"{stage}: done in" in text
    assert text.endswith(f"Next: rlhf dashboard --run-root {finished[0].parent}")
    assert "Warning" not in text and "Traceback" not in text


def test_every_file_of_a_run_directory_is_there(run: Path) -> None:
    expected = ["config.yaml", "env.json", "status.json", "writer.pid"]
    expected += [
        f"{stage}/{name}" for stage in ("sft", "reward", "ppo") for name in ("metrics.jsonl", "model", "checkpoints")
    ]
    expected += ["ppo/samples.jsonl"]
    expected += [f"completions/{name}.jsonl" for name in ("base", "sft", "tuned")]
    expected += [f"evaluation/{name}.json" for name in ("reward_model", "scores", "comparisons")]
    assert [name for name in expected if not (run / name).exists()] == []
    assert not list(run.rglob(".*.tmp"))  # nothing written aside was left behind


def test_status_says_complete_with_steps_and_seconds(run: Path) -> None:
    now = status(run)
    assert now["state"] == "complete" and list(now["stages"]) == list(STAGES)
    for entry in now["stages"].values():
        assert entry["state"] == "complete" and entry["step"] == entry["total"] > 0 and entry["seconds"] > 0


@pytest.mark.parametrize("stage", ["sft", "reward", "ppo"])
def test_every_metric_is_registered_and_in_range(run: Path, stage: str) -> None:
    logged = rows(run, stage)
    assert logged and all(row.keys() > BOOKKEEPING for row in logged)
    for row in logged:
        for name, value in row.items():
            if name in BOOKKEEPING or value is None:
                continue
            metric, slack = find_metric(name), 1e-6 * max(1.0, abs(value))
            assert metric.low - slack <= value <= metric.high + slack, (row["step"], name, value)


def test_each_stage_logs_the_metrics_it_is_there_for(run: Path) -> None:
    logged = {
        stage: {name for row in rows(run, stage) for name in row} - BOOKKEEPING for stage in ("sft", "reward", "ppo")
    }
    assert logged["sft"] >= {"train/loss", "eval/loss", "eval/perplexity", "optim/lr", "optim/grad_norm"}
    assert logged["reward"] >= {"train/loss", "train/accuracy", "eval/accuracy", "eval/margin"}
    ppo = {
        name
        for name in REGISTRY
        if name.split("/")[0] in ("objective", "policy", "loss", "returns", "val", "tokens", "time")
    }
    of_mixtures = {"objective/score_*", "objective/score_disagreement"}
    assert logged["ppo"] >= ppo - of_mixtures | {"eval/score", "eval/win_rate", "eval/audit_profanity"}


def test_perplexity_is_the_exponential_of_the_loss(run: Path) -> None:
    measured = [row for row in rows(run, "sft") if "eval/perplexity" in row]
    assert len(measured) >= 2
    for row in measured:
        assert row["eval/perplexity"] == pytest.approx(math.exp(row["eval/loss"]), rel=1e-9)


def test_ppo_identities_hold(run: Path) -> None:
    """The registry's own definitions, on a real run; the first update starts from the reference."""
    updates = [row for row in rows(run, "ppo") if "objective/kl" in row]
    assert len(updates) == 3
    for row in updates:
        shaped = row["objective/scores"] + row["objective/non_score_reward"]
        assert row["objective/rlhf_reward"] == pytest.approx(shaped, abs=1e-5)
        assert row["objective/non_score_reward"] == pytest.approx(
            -row["objective/kl_coef"] * row["objective/kl"], abs=1e-5
        )
        assert row["policy/first_ratio_error"] < 1e-4
        total = row["loss/policy"] + 0.1 * row["loss/value"]  # value_coef is 0.1 by default
        assert row["loss/total"] == pytest.approx(total, abs=1e-5)
        # A response has at most 8 new tokens; entropy per response cannot pass 8 · ln(259) for a vocabulary of 259 bytes.
        assert 0 < row["tokens/response_length"] <= 8
    assert updates[0]["objective/kl"] == pytest.approx(0.0, abs=1e-4)
    assert [row["progress/episodes"] for row in updates] == [4, 8, 12]


def test_ppo_adapts_the_layers_it_is_told_to(run: Path) -> None:
    """configs/tiny.yaml says: supervised fine-tuning both layers, PPO the last one."""
    for stage, layers in (("sft", {"0", "1"}), ("ppo", {"1"})):
        with safe_open(run / stage / "model" / "adapter_model.safetensors", "pt") as adapter:
            assert {re.findall(r"layers\.(\d+)\.", name)[0] for name in list(adapter.keys())} == layers


def test_steps_go_up_by_one(run: Path) -> None:
    for stage, name in (("sft", "train/loss"), ("reward", "train/loss"), ("ppo", "objective/kl")):
        steps = [row["step"] for row in rows(run, stage) if name in row]
        assert steps == list(range(1, len(steps) + 1))


def test_contenders_answer_the_same_held_out_prompts(run: Path) -> None:
    answers = {
        name: read_jsonl(run / "completions" / f"{name}.jsonl", ContenderCompletion)
        for name in ("base", "sft", "tuned")
    }
    asked = [[row.prompt_id for row in side] for side in answers.values()]
    assert asked[0] == asked[1] == asked[2] and len(asked[0]) == 24  # configs/tiny.yaml limits each file to 24
    for name, side in answers.items():
        assert {row.contender for row in side} == {name}
        assert all(1 <= row.tokens <= 8 for row in side)


def test_the_evaluation_compares_every_pair_on_every_prompt(run: Path) -> None:
    content = RunReader(run).evaluation("comparisons")
    assert content
    overall = [row for row in content["rows"] if row["category"] == "" and row["scorer"] == "reward model"]
    assert {(row["baseline"], row["contender"]) for row in overall} == {
        ("base", "sft"),
        ("base", "tuned"),
        ("sft", "tuned"),
    }
    for row in content["rows"]:
        assert row["low"] <= row["difference"] <= row["high"]
    assert {row["n"] for row in overall} == {24}
    assert content["kl"]["unit"] == "nats per response"


def test_a_report_can_be_written_from_it(run: Path, tmp_path: Path) -> None:
    written = write_report(run, tmp_path, votes=None)
    assert {path.suffix for path in written} >= {".html", ".md", ".json"}
    assert all(path.stat().st_size > 500 for path in written if path.suffix in {".html", ".md", ".json"})


def test_the_second_run_skips_every_stage_and_says_so(run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.glob("*/metrics.jsonl")}
    done = rlhf(run.parent)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[: len(STAGES)] == [f"{stage}: complete with the same inputs: skipped" for stage in STAGES]
    assert {path: path.stat().st_mtime_ns for path in run.glob("*/metrics.jsonl")} == before


def test_sigterm_is_a_pause_and_the_same_command_goes_on(tmp_path: Path) -> None:
    stopped = tmp_path / "tiny"
    more_steps = command(tmp_path, "--set", "sft.epochs=6", "--set", "sft.eval_every=1", words="sft")
    with subprocess.Popen(more_steps, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: list((stopped / "sft" / "checkpoints").glob("step-*")), process)
        process.send_signal(signal.SIGTERM)
        _, complaint = process.communicate(timeout=300)
    assert process.returncode == 130
    assert complaint == (
        "sft: pausing after this step; once more stops at once\n"
        "paused after a whole step; the same command goes on where it was\n"
    )
    assert status(stopped)["state"] == status(stopped)["stages"]["sft"]["state"] == "paused"
    assert RunReader(stopped).status().state == "paused"
    before, spent = rows(stopped, "sft"), status(stopped)["stages"]["sft"]["seconds"]

    done = subprocess.run(more_steps, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0 and "sft: done in" in done.stdout
    after = rows(stopped, "sft")
    assert after[: len(before)] == before  # kept, times and all, not done again
    total = status(stopped)["stages"]["sft"]["total"]
    assert [row["step"] for row in after if "train/loss" in row] == list(range(1, total + 1))
    assert [row["step"] for row in after if "eval/loss" in row] == list(range(total + 1))
    assert status(stopped)["stages"]["sft"]["seconds"] > spent


def test_a_kill_is_seen_as_an_interruption_and_the_same_command_starts_afresh(run: Path, tmp_path: Path) -> None:
    """kill -9 before the first checkpoint: status.json still says "running"; going on equals never having been killed."""
    stopped = tmp_path / "tiny"
    sft = command(tmp_path, words="sft")
    with subprocess.Popen(sft, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        metrics = stopped / "sft" / "metrics.jsonl"
        wait_for(lambda: metrics.is_file() and b'"train/loss"' in metrics.read_bytes(), process)
        process.kill()
    assert status(stopped)["state"] == "running"
    assert RunReader(stopped).status().state == "interrupted"
    assert subprocess.run(sft, cwd=ROOT, capture_output=True, timeout=500).returncode == 0
    assert without_times(rows(stopped, "sft")) == without_times(rows(run, "sft"))


def test_a_full_disk_stops_the_run_with_a_message(tmp_path: Path) -> None:
    """/dev/full answers every write of a metrics row as a full disk would."""
    (tmp_path / "tiny" / "sft").mkdir(parents=True)
    (tmp_path / "tiny" / "sft" / "metrics.jsonl").symlink_to("/dev/full")
    done = rlhf(tmp_path, words="sft")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "error: the disk is full. Free some space and run the same command again" in done.stderr
    assert status(tmp_path / "tiny")["stages"]["sft"]["state"] == "failed"


def test_a_prompt_longer_than_its_limit_is_refused_early(tmp_path: Path) -> None:
    """Refused in the first stage, before anything was trained, although only PPO would use the prompt."""
    prompts = (ROOT / "sample_data" / "prompts.jsonl").read_text()
    long = json.dumps({"id": "long", "prompt": "word " * 60, "category": "helpful", "split": "train"})
    (tmp_path / "prompts.jsonl").write_text(long + "\n" + prompts)
    done = rlhf(tmp_path, "--set", f"data.prompts={tmp_path}/prompts.jsonl")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "tokens with the chat format; the limit is 256 (found 'word word" in done.stderr
    assert "raise policy.max_prompt_tokens (the model's own limit is 1024 tokens)" in done.stderr
    assert not (tmp_path / "tiny" / "sft" / "metrics.jsonl").exists()


def test_a_refusal_prompt_longer_than_its_limit_is_refused_as_early(tmp_path: Path) -> None:
    """Refused in the first stage, although only `generate` would ask it."""
    (tmp_path / "x.csv").write_text(f"id,prompt,type,label\n1,{'word ' * 60},homonyms,safe\n")
    done = rlhf(tmp_path, "--set", f"data.refusal_prompts={tmp_path}/x.csv", words="sft")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "tokens with the chat format; the limit is 256 (found 'word word" in done.stderr
    assert not (tmp_path / "tiny" / "sft" / "metrics.jsonl").exists()


def test_limits_past_the_models_context_are_refused(tmp_path: Path) -> None:
    done = rlhf(tmp_path, "--set", "policy.max_prompt_tokens=1020")
    assert done.returncode == 1
    expected = "tiny: prompts of 1020 and responses of 8 tokens do not fit the model's context of 1024 tokens. Lower policy.max"
    assert expected in done.stderr


def wait_for(happened: Callable[[], Any], process: subprocess.Popen[Any]) -> None:
    """Wait until something has happened; fail when the process ends before."""
    while not happened():
        assert process.poll() is None, process.stderr.read() if process.stderr else "ended early"
        time.sleep(0.01)


def without_times(logged: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if not name.startswith("time")} for row in logged]
