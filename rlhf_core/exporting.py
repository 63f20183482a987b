"""A model of a run leaves as a plain folder, with a model card made from the same facts as the run's report."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rlhf_core.config import PipelineConfig
from rlhf_core.data.io import write_text
from rlhf_core.errors import ModelError, RunError
from rlhf_core.feedback.collect import judging_of_run
from rlhf_core.models.adapters import adapter_chain
from rlhf_core.models.leaving import OFFSET, leave_policy, leave_reward_model, plain_config
from rlhf_core.models.packaged import PACKAGED
from rlhf_core.models.sources import read_json
from rlhf_core.report.card import render_card
from rlhf_core.report.facts import build_facts
from rlhf_core.report.use import Left, LeftPolicy, LeftRewardModel
from rlhf_core.runs.launch import load_run_config
from rlhf_core.runs.reader import RunReader

Stage = Literal["sft", "reward", "ppo"]
CARD = "README.md"


@dataclass(frozen=True)
class ExportRequest:
    """What is asked for. `votes` is a database file or URL, which need not be there."""

    run: Path
    out: Path
    stage: Stage
    adapter: bool
    votes: str


def export_model(request: ExportRequest) -> Path:
    """Write the model that a stage of a run left into the folder `out`, whole or not at all; return it.

    Raises:
        RunError: no such run, no such model in it, or `out` holds something.
        ModelError: an adapter of a model that has none, or an architecture whose scores plain transformers does not give.
    """
    reader = RunReader(request.run.resolve())
    source = reader.path / request.stage / "model"
    if not source.is_dir():
        raise RunError(
            f"the run has no {request.stage}/model", where=reader.path,
            remedy="It may not have got there yet, or not keep it; `rlhf runs` shows how far runs are",
        )  # fmt: skip
    if request.out.exists() and (not request.out.is_dir() or any(request.out.iterdir())):
        raise RunError("is there already", where=request.out, remedy="Name a folder that is new or empty")
    aside = request.out.parent / f".{request.out.resolve().name}.tmp"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        left = _leave(request, load_run_config(reader.path), source, aside)
        found = judging_of_run(reader.path, request.votes)
        facts = build_facts(reader.path, found.votes, found.instructions) if found else build_facts(reader.path)
        write_text(aside / CARD, render_card(facts, left))
        aside.replace(request.out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return request.out


def _leave(request: ExportRequest, config: PipelineConfig, source: Path, folder: Path) -> Left:
    """Write the model, and say what its card must tell."""
    if request.stage != "reward":
        return _leave_policy(request, config, source, folder)
    if request.adapter:
        raise ModelError(
            "a reward model leaves whole: its scores are normalised in its head", where="--adapter",
            remedy="Leave out --adapter",
        )  # fmt: skip
    members = leave_reward_model(source, folder)
    about = read_json(members[0] / "config.json")
    return LeftRewardModel(
        labels=tuple(about["id2label"].values()),
        max_length=int(read_json(members[0] / "tokenizer_config.json")["model_max_length"]),
        members=len(members),
        chat=(members[0] / "chat_template.jinja").is_file(),
        offset=OFFSET in about,
    )


def _leave_policy(request: ExportRequest, config: PipelineConfig, source: Path, folder: Path) -> LeftPolicy:
    sampling = config.generate
    base = leave_policy(str(source), config.policy, sampling, folder, adapter=request.adapter)
    packaged = PACKAGED.get(adapter_chain(str(source))[1].removeprefix("packaged:")) if base else None
    return LeftPolicy(
        stage=request.stage,
        system_prompt=config.policy.system_prompt,
        temperature=sampling.temperature,
        max_new_tokens=sampling.max_new_tokens,
        base=base,
        rounded=packaged.hub if packaged else "",
        encodes=plain_config(str(source)).is_encoder_decoder,
        chat=(folder / "chat_template.jinja").is_file(),
    )
