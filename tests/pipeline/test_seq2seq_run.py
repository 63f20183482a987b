"""The detoxification of a summariser on a tiny T5, with the configuration as it is shipped: dialogues in, a report out."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rlhf_core.config import PipelineConfig, load_config
from rlhf_core.config.pipeline import GenerateConfig
from rlhf_core.data.io import read_jsonl
from rlhf_core.data.records import ContenderCompletion
from rlhf_core.pipeline import run_pipeline
from rlhf_core.report.exports import write_report
from rlhf_core.runs.reader import RunReader
from tests.engine import write_bert
from tests.seq2seq import write_t5
from tests.unit.test_pipeline import Recorder

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SMALL = (
    "reward={model: tiny, epochs: 1, eval_every: 50, normalise_on: 8, max_length: 512}",
    "ppo.iterations=2", "ppo.batch_size=4", "ppo.minibatch_size=2", "ppo.micro_batch_size=2", "ppo.response_length=8",
    "ppo.eval_every=1", "ppo.eval_prompts=4", "generate.max_new_tokens=8", "evaluate.bootstrap=200",
    "data.limit=24", "policy.dtype=float32", "ppo.guards.kl_budget=null", "ppo.optim.lr=0.01",
)  # fmt: skip


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> PipelineConfig:
    """configs/detox-seq2seq.yaml on dialogues that scripts/dialogues.py converts, a tiny T5 and a tiny classifier."""
    root = tmp_path_factory.mktemp("detox")
    lines = [{"id": n, "dialogue": f"A: Is {n} even?\nB: Fool.", "summary": f"They speak of {n}."} for n in range(30)]
    (root / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    script = [sys.executable, str(ROOT / "scripts" / "dialogues.py"), "train.jsonl", "--eval-prompts", "8"]
    done = subprocess.run(script, cwd=root, capture_output=True, text=True, timeout=100)
    assert "prompts.jsonl: 30 rows" in done.stdout and "demonstrations.jsonl: 22 rows" in done.stdout, done.stderr
    t5, judge = write_t5(root / "t5"), write_bert(root / "bert", labels=("hate", "nothate"), initializer_range=0.3)
    shipped = load_config(ROOT / "configs" / "detox-seq2seq.yaml")
    ppo = shipped.ppo.model_dump(mode="json")
    rewards, audits = (
        [source | ({"model": str(judge)} if source["kind"] == "classifier" else {}) for source in ppo[name]]
        for name in ("rewards", "audits")
    )
    return load_config(
        ROOT / "configs" / "detox-seq2seq.yaml",
        [
            f"run_root={root}/runs", f"policy.model={t5}", *SMALL, f"ppo.rewards={json.dumps(rewards)}",
            f"ppo.audits={json.dumps(audits)}",
            *(f"data.{name}={root}/data/dialogues/{name}.jsonl" for name in ("prompts", "demonstrations")),
        ],
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(config: PipelineConfig) -> Path:
    began = time.process_time()
    path = run_pipeline(config, Recorder())
    assert time.process_time() - began < 60
    return path


def metrics(run: Path, stage: str = "ppo") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / stage / "metrics.jsonl").read_text().splitlines()]


def test_the_shipped_configuration_pays_for_the_logit_of_nothate_and_watches_the_rest() -> None:
    config = load_config(ROOT / "configs" / "detox-seq2seq.yaml")
    (reward,) = config.ppo.rewards
    assert (reward.kind, getattr(reward, "label", ""), getattr(reward, "output", "")) == (
        "classifier",
        "nothate",
        "logit",
    )
    assert [audit.name for audit in config.ppo.audits] == ["hate", "profanity", "reward_model"]
    assert config.sft is None and config.policy.lora and config.generate.contenders == ("base", "tuned")


def test_every_stage_is_complete_and_toxicity_is_measured_before_and_after(run: Path) -> None:
    assert [stage.state for stage in RunReader(run).status().stages] == ["complete"] * 5
    rows = metrics(run)
    held_out = [row for row in rows if "eval/score" in row]
    assert [row["step"] for row in held_out] == [0, 1, 2]
    for name in ("hate", "profanity", "reward_model"):
        assert all(f"eval/audit_{name}" in row for row in held_out)
    assert all(0 <= row["eval/audit_hate"] <= 1 for row in held_out)
    updates = [row for row in rows if "objective/kl" in row]
    assert len(updates) == 2 and all(row["policy/first_ratio_error"] < 1e-4 for row in updates)
    compared = RunReader(run).evaluation("comparisons")
    assert compared and {"reward model", "profanity-check"} <= {row["scorer"] for row in compared["rows"]}


def test_the_score_is_the_classifiers_logit_of_the_summary_alone(run: Path, config: PipelineConfig) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    source = getattr(config.ppo.rewards[0], "model", "")
    model, tokenizer = (
        AutoModelForSequenceClassification.from_pretrained(source).eval(),
        AutoTokenizer.from_pretrained(source),
    )
    samples = [json.loads(line) for line in (run / "ppo" / "samples.jsonl").read_text().splitlines()]
    for row in [row for row in samples if row["text"]][:4]:
        logits = model(**tokenizer(row["text"], return_tensors="pt")).logits[0]
        assert row["score"] == pytest.approx(logits[1].item(), abs=1e-4)  # labels: hate, nothate


def test_base_and_tuned_summarise_the_same_dialogues(run: Path) -> None:
    base, tuned = (read_jsonl(run / "completions" / f"{name}.jsonl", ContenderCompletion) for name in ("base", "tuned"))
    assert [row.prompt_id for row in base] == [row.prompt_id for row in tuned] and len(base) == 8
    assert all(row.prompt.startswith("Summarize the following conversation.\n\nA: Is") for row in base)
    assert [row.text for row in base] != [row.text for row in tuned]


def test_a_report_can_be_written_from_it(run: Path, tmp_path: Path) -> None:
    assert (tmp_path / "report.md") in write_report(run, tmp_path, formats=("md", "json"))


def test_it_can_be_fine_tuned_on_the_summaries_first(config: PipelineConfig) -> None:
    sft = {"epochs": 1, "batch_size": 4, "micro_batch_size": 2, "max_length": 512, "eval_every": 2}
    generate = GenerateConfig(contenders=("base", "sft", "tuned"), max_new_tokens=8).model_dump()
    more = config.model_validate(config.model_dump() | {"name": "with-sft", "sft": sft, "generate": generate})
    run = run_pipeline(more, Recorder())
    losses = [row["eval/loss"] for row in metrics(run, "sft") if "eval/loss" in row]
    assert losses[-1] < losses[0]
    assert json.loads((run / "ppo" / "model" / "policy.json").read_text()) == {"base": "../../sft/model"}


def test_what_an_encoder_cannot_do_is_refused_before_training(config: PipelineConfig) -> None:
    for setting in ({"packing": True}, {"learn_from": "all"}):
        sft = {"max_length": 512, **setting}
        changed = config.model_validate(config.model_dump() | {"name": "refused", "sft": sft})
        with pytest.raises(ValueError, match=r"sft: an encoder reads one prompt a row.*Set sft\.packing=false and"):
            run_pipeline(changed, Recorder(), ["sft"])
