"""The generate stage: contenders and the best-of-n baseline, in batches, resumed, and answering a prompt of one's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rlhf_core.config import PipelineConfig, load_config
from rlhf_core.data.datasets import Datasets, load_datasets
from rlhf_core.data.io import read_jsonl, write_jsonl
from rlhf_core.data.records import ContenderCompletion
from rlhf_core.errors import ConfigError, RunError
from rlhf_core.models.rewards import load_reward_model, new_reward_model
from rlhf_core.pipeline import stage_inputs
from rlhf_core.stages import answer, contender_source, run_generate, start_source
from rlhf_core.training.stage import Stage
from tests.engine import Stop, make_stage, reward_config, stop_at, tiny_policy

ROOT = Path(__file__).resolve().parents[2]
BEST_OF_4 = ("generate.best_of.n=4",)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run root whose run has a fine-tuned policy and a reward model, both untrained."""
    root = tmp_path_factory.mktemp("runs")
    tiny_policy(None, trainable=False).save(root / "tiny" / "sft" / "model")
    model = new_reward_model(reward_config(), torch.Generator().manual_seed(0))
    model.save(root / "tiny" / "reward" / "model")
    return root


def configured(root: Path, *overrides: str) -> PipelineConfig:
    settings = [f"run_root={root}", "generate.contenders=[sft]", "generate.batch_size=8", "generate.max_new_tokens=6"]
    return load_config(ROOT / "configs" / "tiny.yaml", [*settings, *overrides])


def data_of(config: PipelineConfig) -> Datasets:
    """Five held-out prompts."""
    data = load_datasets(config.data)
    return replace(data, eval_prompts=data.eval_prompts[:5])


def generate(config: PipelineConfig, stage: Stage | None = None) -> dict[str, list[ContenderCompletion]]:
    """Run the stage and return the answers of each contender."""
    stage = stage or make_stage(config.run_path, "generate", inputs=stage_inputs(config, "generate"))
    run_generate(config, data_of(config), stage)
    files = (config.run_path / "completions").glob("*.jsonl")
    return {file.stem: read_jsonl(file, ContenderCompletion) for file in files}


@pytest.fixture
def root(trained: Path, tmp_path: Path) -> Path:
    """A run root of the test's own, with the same models."""
    (tmp_path / "tiny").mkdir()
    for stage in ("sft", "reward"):
        (tmp_path / "tiny" / stage).symlink_to(trained / "tiny" / stage)
    return tmp_path


def test_best_of_n_is_one_more_contender_and_scores_above_its_base(root: Path):
    config = configured(root, *BEST_OF_4)
    answers = generate(config)
    assert answers.keys() == {"sft", "best-of-4"}
    assert [row.prompt_id for row in answers["best-of-4"]] == [row.prompt_id for row in answers["sft"]]
    assert {row.contender for row in answers["best-of-4"]} == {"best-of-4"}
    score = load_reward_model(config.run_path / "reward" / "model").score
    means = {
        name: score([r.prompt for r in rows], [r.text for r in rows]).mean().item() for name, rows in answers.items()
    }
    assert means["best-of-4"] > means["sft"]


def test_a_batch_holds_all_answers_of_its_prompts_and_progress_is_told(root: Path):
    """Batches of 8 answers: 5 prompts of sft at once, then best-of-4 in pairs of prompts: 5, 7, 9 and 10 of 10 answers."""
    config, told = configured(root, *BEST_OF_4), []
    stage = Stage(
        "generate", make_stage(root, "generate").directory, 0, "x+best-of-4", lambda *row: told.append(row)
    )  # fmt: skip
    generate(config, stage)
    assert [(step, total) for step, total, _ in told] == [(5, 10), (7, 10), (9, 10), (10, 10)]
    assert told[-1][2] == "best-of-4: 5 of 5 answers"


def test_a_stopped_best_of_n_goes_on_after_its_last_batch_and_ends_the_same(root: Path, tmp_path_factory: Any):
    config = configured(root, *BEST_OF_4)
    inputs = stage_inputs(config, "generate")
    whole = generate(config)
    for file in (config.run_path / "completions").iterdir():
        file.unlink()
    with pytest.raises(Stop):
        generate(config, make_stage(config.run_path, "generate", inputs=inputs, report=stop_at(7)))
    part = read_jsonl(config.run_path / "completions" / "best-of-4.part", ContenderCompletion)
    assert part == whole["best-of-4"][:2]
    told: list[int] = []
    again = make_stage(
        config.run_path, "generate", inputs=inputs, report=lambda step, total, message: told.append(step)
    )
    assert generate(config, again) == whole and told == [9, 10]


def test_asking_for_best_of_n_leaves_other_answers_alone_and_the_other_way_round(root: Path):
    folder = configured(root).run_path / "completions"
    generate(configured(root))
    before = (folder / "sft.jsonl").stat().st_mtime_ns
    generate(configured(root, *BEST_OF_4))
    generate(configured(root))
    assert (folder / "sft.jsonl").stat().st_mtime_ns == before
    assert (folder / "best-of-4.jsonl").is_file()
    generate(configured(root, "generate.temperature=0.9"))
    assert not (folder / "best-of-4.jsonl").exists()  # answers at another temperature


def refusals_of(config: PipelineConfig) -> dict[str, list[ContenderCompletion]]:
    """The answers of each contender to the test of refusals."""
    files = (config.run_path / "completions" / "refusals").glob("*.jsonl")
    return {file.stem: read_jsonl(file, ContenderCompletion) for file in files}


def with_refusals(
    root: Path, *overrides: str, prompts: Sequence[str] = ("Kill it?", "Kill him?", "Kill time?")
) -> PipelineConfig:
    """A configuration with a test of refusals, the second prompt unsafe."""
    rows = [{"id": f"x{n}", "prompt": p, "category": "unsafe" if n == 1 else "safe"} for n, p in enumerate(prompts)]
    write_jsonl(root / "x.jsonl", rows)
    return configured(root, f"data.refusal_prompts={root}/x.jsonl", *overrides)


def test_every_contender_answers_the_test_of_refusals_apart_from_the_held_out_prompts(root: Path):
    """Five held-out prompts and three of the test for sft and best-of-2: 16 answers, in one bar."""
    config, told = with_refusals(root, "generate.best_of.n=2"), []
    stage = make_stage(
        config.run_path, "generate", inputs=stage_inputs(config, "generate"), report=lambda *row: told.append(row)
    )
    answers, declined = generate(config, stage), refusals_of(config)
    assert {name: [row.prompt_id for row in rows] for name, rows in declined.items()} == {
        "sft": ["x0", "x1", "x2"], "best-of-2": ["x0", "x1", "x2"],
    }  # fmt: skip
    assert [row.category for row in declined["sft"]] == ["safe", "unsafe", "safe"]
    assert answers.keys() == {"sft", "best-of-2"} and {len(rows) for rows in answers.values()} == {5}
    # Batches of 8 answers: sft all at once, best-of-2 four prompts at a time.
    assert [(step, total) for step, total, _ in told] == [(5, 16), (9, 16), (10, 16), (13, 16), (16, 16)]
    assert told[-1][2] == "best-of-2: 3 of 3 answers to refusal prompts"
    generate(configured(root, "generate.best_of.n=2"))
    assert refusals_of(config) == {}  # not asked for any more, so not there to be counted


def test_a_test_of_refusals_is_answered_as_any_prompt_is(root: Path):
    """The same questions, as held-out prompts and as a test, with the same settings and random numbers: the same texts."""
    config = configured(root)
    answers = generate(config)["sft"]
    again = with_refusals(root, prompts=[row.prompt for row in answers])
    generate(again)
    assert [row.text for row in refusals_of(again)["sft"]] == [row.text for row in answers]


def test_a_stopped_test_of_refusals_goes_on_after_its_last_batch(root: Path):
    config = with_refusals(root, "generate.batch_size=2")
    inputs = stage_inputs(config, "generate")
    with pytest.raises(Stop):
        generate(config, make_stage(config.run_path, "generate", inputs=inputs, report=stop_at(7)))
    part = config.run_path / "completions" / "refusals" / "sft.part"
    begun = read_jsonl(part, ContenderCompletion)
    assert [row.prompt_id for row in begun] == ["x0", "x1"] and refusals_of(config) == {}
    told: list[int] = []
    generate(config, make_stage(config.run_path, "generate", inputs=inputs, report=lambda *row: told.append(row[0])))
    assert told == [8] and refusals_of(config)["sft"][:2] == begun and not part.exists()


def test_a_changed_test_of_refusals_is_answered_anew_and_nothing_else_is(root: Path):
    config = configured(root)
    generate(config)
    ordinary = config.run_path / "completions" / "sft.jsonl"
    before = ordinary.stat().st_mtime_ns
    generate(with_refusals(root))
    generate(with_refusals(root, prompts=["Kill it?", "Rob him?"]))
    assert [row.prompt for row in refusals_of(config)["sft"]] == ["Kill it?", "Rob him?"]
    assert ordinary.stat().st_mtime_ns == before


def test_inputs_name_the_baseline_and_later_stages_depend_on_it(root: Path):
    plain, best = configured(root), configured(root, *BEST_OF_4)
    assert stage_inputs(best, "generate") == f"{stage_inputs(plain, 'generate')}+best-of-4"
    assert stage_inputs(best, "evaluate") != stage_inputs(plain, "evaluate")
    assert stage_inputs(best, "ppo") == stage_inputs(plain, "ppo")


def test_one_prompt_gets_a_best_answer_too_the_same_at_every_call(root: Path):
    config = configured(root, "generate.best_of.n=6")
    answers = dict(answer(config, "Why is the sky blue?", seed=3))
    assert list(answers) == ["sft", "best-of-6"]
    assert answers == dict(answer(config, "Why is the sky blue?", seed=3))
    score = load_reward_model(config.run_path / "reward" / "model").score
    plain, best = score(["Why is the sky blue?"] * 2, list(answers.values())).tolist()
    assert best > plain


def test_the_base_of_best_of_n_can_be_another_contender(root: Path):
    answers = dict(answer(configured(root, *BEST_OF_4, "generate.best_of.contender=base"), "Why?", seed=0))
    assert list(answers) == ["sft", "best-of-4-from-base"]


def test_further_contenders_answer_with_the_model_they_name(root: Path):
    """`base` is then the model named so, and PPO still starts from `policy.model`."""
    folder = root / "tiny" / "sft" / "model"
    named = [f"generate.models.base={folder}", "generate.models.round-1=tiny"]
    config = configured(root, "sft=null", "generate.contenders=[base]", *named)
    assert (contender_source(config, "base"), contender_source(config, "round-1")) == (str(folder), "tiny")
    assert start_source(config) == config.policy.model == "tiny"
    assert set(generate(config)) == {"base", "round-1"}
    assert [name for name, _ in answer(config, "Why?", seed=0)] == ["base", "round-1"]


def test_other_weights_of_a_further_contender_are_answered_with_anew(root: Path, tmp_path: Path):
    folder = tmp_path / "earlier"
    tiny_policy(None, trainable=False).save(folder)
    config = configured(root, f"generate.models.round-1={folder}")
    before, evaluated = stage_inputs(config, "generate"), stage_inputs(configured(root), "generate")
    weights = next(folder.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-4] + b"\x01\x02\x03\x04")
    assert len({before, stage_inputs(config, "generate"), evaluated}) == 3


def test_without_a_reward_model_there_is_no_best_answer(tmp_path: Path):
    tiny_policy(None, trainable=False).save(tmp_path / "tiny" / "sft" / "model")
    missing = re.escape(str(tmp_path / "tiny" / "reward" / "model"))
    with pytest.raises(RunError, match=f"{missing}: best-of-4 needs the run's reward model. Run `rlhf reward CONFIG`"):
        list(answer(configured(tmp_path, *BEST_OF_4), "Why?", seed=0))


def test_one_answer_is_no_choice(tmp_path: Path):
    with pytest.raises(
        ConfigError, match=r"generate\.best_of\.n: Input should be greater than or equal to 2 \(found 1\)"
    ):
        configured(tmp_path, "generate.best_of.n=1")
