"""Begin a round: split the judged prompts, write its data and configuration, and last its lineage, which marks it as begun."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from rlhf_core.config import PipelineConfig, load_config
from rlhf_core.data.contenders import round_name
from rlhf_core.data.datasets import Datasets, load_datasets
from rlhf_core.data.io import write_jsonl, write_text
from rlhf_core.data.records import Prompt, Ranking
from rlhf_core.errors import ConfigError, RunError
from rlhf_core.evaluation.agreement import agreement
from rlhf_core.judging import consensus_of_pairs, consensus_rankings
from rlhf_core.rounds.split import Split, refuse_too_few, split_judged, weigh_earlier, weight_share
from rlhf_core.rounds.votes import RoundVotes, read_votes
from rlhf_core.runs.lineage import Lineage, next_folder, next_number, write_lineage
from rlhf_core.runs.reader import RunReader

CONFIG = "round.yaml"
PAIRS = Path("data", "tested_pairs.jsonl")
METHOD = "majority"
FIXED = (
    "name",
    "run_root",
    "data",
    "policy.model",
    "sft",
    "generate.contenders",
    "generate.models",
    "generate.best_of",
)
"""Settings that follow from the run before."""


@dataclass(frozen=True)
class RoundRequest:
    """What is asked of a round.

    Attributes:
        run: the finished run it goes on from.
        votes: the vote database; None: votes.db beside the run.
        task, criterion: what was judged; None: the only task of the run with votes, and its first criterion.
        share: of the judged prompts, drawn to be trained on; the others stay held out.
        votes_share: the least share of the reward model's training weight that the new votes hold.
        simulated: whether to learn from votes that no person gave, which makes the round a trial.
        overrides: `key.sub=value` for the pipeline's settings.
    """

    run: Path
    votes: str | None = None
    task: int | None = None
    criterion: str | None = None
    share: float = 0.5
    votes_share: float = 0.25
    simulated: bool = False
    overrides: Sequence[str] = ()

    @property
    def database(self) -> str:
        """The vote database."""
        return self.votes or str(self.run.parent / "votes.db")


@dataclass(frozen=True)
class Round:
    """A begun round: its run directory, the run before it, and what is to be said about how it goes on."""

    path: Path
    parent: Path
    config: PipelineConfig
    lineage: Lineage
    notes: tuple[str, ...] = ()


def begin_round(request: RoundRequest) -> Round:
    """Begin the round that follows a run, or go on with it: the data of a begun round never change.

    Raises:
        RunError: the run is not finished, or the round's folder belongs to something else.
        ConfigError: an override of what follows from the run before, or a wrong one.
        DataError, VoteError: the votes do not make a round.
    """
    _refuse_fixed(request.overrides)
    parent = request.run.resolve()
    reader = RunReader(parent)
    origin = reader.lineage()
    number, target = next_number(origin), next_folder(reader.path, origin)
    votes = read_votes(request.database, parent.name, *_chosen(request, target), simulated=request.simulated)
    if (begun := _lineage_of(target)) is not None:
        return _go_on(request, parent, target, begun, votes)
    if target.exists() and (target / "status.json").exists():
        raise RunError("is a run, and no round of this one", where=target, remedy="Rename it or remove it")
    _refuse_unfinished(reader)
    before = load_config(parent / "config.yaml", request.overrides)
    lineage = _write_data(request, votes, load_datasets(before.data), before.seed, number, target, parent.name)
    write_text(target / CONFIG, _config_yaml(before, parent, target, number))
    config = load_config(target / CONFIG)
    write_lineage(target, lineage)
    return Round(target, parent, config, lineage)


def _chosen(request: RoundRequest, target: Path) -> tuple[int | None, str | None]:
    """The task and criterion asked for, or those the round was begun with."""
    begun = _lineage_of(target)
    task = request.task if request.task is not None or begun is None else begun.task
    return task, request.criterion or (begun.criterion if begun else None)


def _go_on(request: RoundRequest, parent: Path, target: Path, begun: Lineage, votes: RoundVotes) -> Round:
    asked = (parent.name, votes.task.id, votes.criterion, request.simulated)
    if asked != (begun.parent, begun.task, begun.criterion, begun.simulated):
        raise RunError(
            f"was begun from {begun.brief} on task {begun.task} ({begun.criterion})",
            where=target,
            value=asked,
            remedy=f"Ask for the same, or remove {target.name} to begin it anew",
        )
    notes = ["The round was begun before: its data stay as they are."]
    if votes.digest != begun.votes_digest:
        notes.append(
            f"Task {begun.task} has other votes now ({votes.count}; {begun.votes} when the round began). They are not "
            f"learnt from here; remove {target.name} to begin anew with them."
        )
    return Round(target, parent, load_config(target / CONFIG, request.overrides), begun, tuple(notes))


def _lineage_of(target: Path) -> Lineage | None:
    return RunReader(target).lineage() if target.is_dir() else None


def _refuse_fixed(overrides: Sequence[str]) -> None:
    for override in overrides:
        key = override.partition("=")[0]
        if any(key == fixed or key.startswith(f"{fixed}.") for fixed in FIXED):
            remedy = f"These follow from it: {', '.join(FIXED)}"
            raise ConfigError("follows from the run before", where="--set", value=override, remedy=remedy)


def _refuse_unfinished(reader: RunReader) -> None:
    missing = [name for name in ("ppo/model", "reward/model", "completions/tuned.jsonl") if not _there(reader, name)]
    if missing or reader.status().state != "complete":
        raise RunError(
            f"a round needs a complete run with its models; this one is {reader.status().state}",
            where=reader.path,
            value=missing or None,
            remedy="Run `rlhf pipeline CONFIG` to its end first",
        )


def _there(reader: RunReader, name: str) -> bool:
    return (reader.path / name).exists()


def _write_data(
    request: RoundRequest, votes: RoundVotes, data: Datasets, seed: int, number: int, target: Path, parent: str
) -> Lineage:
    """Write prompts, demonstrations, rankings and the pairs that test the reward models; return what they are."""
    judged = dict(zip(votes.frame["prompt_id"], votes.frame["prompt"], strict=True))
    split = split_judged(data.eval_prompts, judged, request.share, seed)
    new = _rankings(votes, split, number)
    refuse_too_few(split, new)
    earlier, factor = weigh_earlier(data.rankings, new, request.votes_share)
    write_jsonl(target / "data" / "prompts.jsonl", [*data.train_prompts, *split.moved, *split.kept])
    write_jsonl(target / "data" / "demonstrations.jsonl", data.demonstrations)
    write_jsonl(target / "data" / "rankings.jsonl", [*earlier, *new])
    write_jsonl(target / PAIRS, _tested_pairs(votes, split))
    measured = agreement(votes.frame)[votes.criterion]
    return Lineage(
        round=number,
        parent=parent,
        task=votes.task.id,
        criterion=votes.criterion,
        instruction_versions=sorted(set(votes.frame["instruction_version"])),
        simulated=request.simulated,
        votes=votes.count,
        labellers=len(set(votes.frame["labeller"])),
        agreement=measured.raw.value if measured.raw else None,
        votes_digest=votes.digest,
        prompts_moved=len(split.moved),
        prompts_tested=len(split.tested),
        rankings=len(new),
        votes_share=weight_share(earlier, new),
        earlier_weight=factor,
    )


def _rankings(votes: RoundVotes, split: Split, number: int) -> list[Ranking]:
    """The consensus on the prompts that are trained on, each with the conversation it goes on."""
    asked: dict[str, Prompt] = {prompt.id: prompt for prompt in split.moved}
    of_moved = votes.frame.loc[votes.frame["prompt_id"].isin(list(asked))]
    found = consensus_rankings(of_moved, votes.texts, METHOD) if len(of_moved) else []
    return [
        row.model_copy(
            update={
                "id": f"round-{number}-{row.id}",
                "prompt": asked[row.prompt_id].prompt,
                "history": asked[row.prompt_id].history,
            }
        )
        for row in found
        if row is not None
    ]


def _tested_pairs(votes: RoundVotes, split: Split) -> list[dict[str, Any]]:
    """One row for each judged pair on a held-out prompt: its consensus and both texts."""
    tested = votes.frame.loc[votes.frame["prompt_id"].isin([prompt.id for prompt in split.tested])]
    if tested.empty:
        return []
    agreed: pd.DataFrame = consensus_of_pairs(tested, METHOD)
    return [
        row
        | {
            "item_id": place,
            "prompt": votes.texts[row["item_id"]]["prompt"],
            "baseline_text": votes.texts[row["item_id"]]["texts"][row["baseline"]],
            "contender_text": votes.texts[row["item_id"]]["texts"][row["contender"]],
        }
        for place, row in enumerate(agreed.astype(object).to_dict("records"))
    ]


def _config_yaml(before: PipelineConfig, parent: Path, target: Path, number: int) -> str:
    """The configuration of the round as YAML: that of the run before, on the round's data, from the tuned model on.

    Its places are relative to it, so that a folder of runs can be moved.
    """
    raw = before.model_dump(mode="json")
    tuned = os.path.relpath(parent / "ppo" / "model", target)
    base = before.generate.models.get("base", before.policy.model)
    files = {name: f"data/{name}.jsonl" for name in ("prompts", "demonstrations", "rankings")}
    raw |= {"name": target.name, "run_root": "..", "sft": None}
    raw["data"] |= files | {"limit": None}
    raw["policy"]["model"] = tuned
    raw["generate"] |= {"contenders": ["base", "tuned"], "best_of": None}
    raw["generate"]["models"] = {"base": base, round_name(number - 1): tuned}
    head = f"# Round {number}, from {parent.name}: `rlhf round` wrote it; `rlhf pipeline` can run it by itself.\n"
    return head + yaml.safe_dump(raw, sort_keys=False, allow_unicode=True)
