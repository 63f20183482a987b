"""What `rlhf task` does: make a judging task out of completions, and turn its votes into data for the next reward model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from rlhf_core.config.task import TaskConfig
from rlhf_core.data.exchange.format import preferences_of
from rlhf_core.data.io import read_jsonl, write_jsonl
from rlhf_core.data.records import (
    Completion,
    ContenderCompletion,
    Message,
    Provenance,
    Ranking,
    last_message,
)
from rlhf_core.errors import DataError
from rlhf_core.evaluation.ballots import pair_items
from rlhf_core.evaluation.consensus import consensus
from rlhf_core.feedback.matching import Selection
from rlhf_core.feedback.records import TaskInfo
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import TaskDesign, TaskSpec, build_task

FORMATS = ("rankings", "preferences")
POINTS = {"contender": 1.0, "baseline": 0.0}


@dataclass(frozen=True)
class Exported:
    """What `export_task` wrote: `rows`, and how many items are not among them: without a vote, or without an order."""

    rows: int
    without_votes: int
    undecided: int


def read_contenders(sources: Sequence[Path]) -> list[list[ContenderCompletion]]:
    """Read one contender from each completions file, and all of them from a run directory.

    Where runs share contenders' names, theirs are called by run and name: `quickstart/tuned`.

    Raises:
        DataError: there are no completions, or a row is not one.
    """
    files = [
        file
        for source in sources
        for file in (sorted(source.glob("completions/*.jsonl")) if source.is_dir() else [source])
    ]
    if not files:
        names = [str(source) for source in sources]
        raise DataError("no completions", value=names, remedy="Name completions files, or a run that has some")
    sides = [read_jsonl(file, ContenderCompletion) for file in files]
    counts = Counter(rows[0].contender for rows in sides)
    return [
        _called_by_run(rows, file) if counts[rows[0].contender] > 1 else rows
        for file, rows in zip(files, sides, strict=True)
    ]


def read_instructions(path: Path) -> str:
    """Read what labellers should prefer.

    Raises:
        DataError: there is no such file, or it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        remedy = "Give a Markdown file in UTF-8"
        raise DataError(f"the instructions cannot be read: {error}", where=path, remedy=remedy) from error


def plan_task(config: TaskConfig) -> TaskSpec:
    """Return the task that a configuration describes; nothing is stored.

    Raises:
        DataError: the contenders do not make a task, or a file is missing or malformed.
    """
    return build_task(
        config.name,
        read_contenders(config.contenders),
        read_instructions(config.instructions),
        config.seed,
        TaskDesign(config.form, config.criteria, config.overlap, config.gold_every, config.repeat_every),
        read_jsonl(config.gold, Ranking) if config.gold else (),
        Selection(config.categories, config.prompts),
    )


def create_task(config: TaskConfig, database: Path | str) -> TaskInfo:
    """Store a task: open at once where no completion names its author, else as a draft.

    Raises:
        DataError: the contenders do not make a task, or a file is missing or malformed.
        VoteError: the database cannot be used.
    """
    spec = plan_task(config)
    with closing(VoteStore(database)) as store:
        return store.task(store.ensure_task(spec, first_state(spec)))


def first_state(spec: TaskSpec) -> str:
    """Return the state of a new task: a draft while completions that name their author wait for their owner's decision."""
    return "draft" if spec.leaks else "open"


def export_task(
    database: Path | str, task_id: int, form: str, out: Path, method: str = "majority", criterion: str | None = None
) -> Exported:
    """Write people's consensus as rankings or preferences that `rlhf reward` trains on, weighted by its confidence.

    Simulated votes, gold items and repeats are never exported; ties and split items say nothing about order and are
    counted. Every row says where it comes from. An item's completions are ordered by the others they beat (Copeland).

    Raises:
        DataError: an unknown form, method or criterion, or there is nothing to export.
    """
    if form not in FORMATS:
        raise DataError("unknown format", value=form, remedy=f"Expected {' or '.join(FORMATS)}")
    with closing(VoteStore(database)) as store:
        info = store.task(task_id)
        (chosen,) = checked_criteria(info, criterion or info.criteria[0])
        votes, texts = store.votes(task_id), store.texts(task_id)
    votes = votes.loc[(votes["criterion"] == chosen) & ~votes["simulated"]]
    if votes.empty:
        raise DataError("no votes of people to export", where=f"task {task_id}", remedy="Judge some items first")
    found = consensus_rankings(votes, texts, method)
    rankings = [ranking for ranking in found if ranking is not None]
    write_jsonl(
        out, rankings if form == "rankings" else [pair for ranking in rankings for pair in preferences_of(ranking)]
    )
    rows = len(rankings) if form == "rankings" else sum(len(ranking.pairs()) for ranking in rankings)
    return Exported(rows, without_votes=info.items - len(found), undecided=len(found) - len(rankings))


def consensus_rankings(votes: pd.DataFrame, texts: Mapping[int, Any], method: str) -> list[Ranking | None]:
    """Return the consensus on each item that has votes as a ranking, None where nothing is preferred to anything.

    `votes` are on one criterion; `texts` is `VoteStore.texts()` of their task.
    """
    versions = votes.groupby("item_id")["instruction_version"].unique().map(sorted).to_dict()
    pairs_by_item = _pairs_by_item(consensus_of_pairs(votes, method))
    return [_ranking(texts[item], item, pairs, versions[item]) for item, pairs in pairs_by_item.items()]


def consensus_of_pairs(votes: pd.DataFrame, method: str) -> pd.DataFrame:
    """Return the consensus on each compared pair; a ranking has several in one item, which `item_id` still names."""
    pairs = pair_items(votes)
    of_item = dict(zip(pairs["item_id"], pairs["of_item"], strict=True))
    agreed = consensus(pairs, method)
    return agreed.assign(item_id=[of_item[number] for number in agreed["item_id"]])


def checked_criteria(info: TaskInfo, criterion: str | None) -> tuple[str, ...]:
    """Return the criterion that is asked for, or all of a task's.

    Raises:
        DataError: it is not one of the task's.
    """
    if criterion is None:
        return info.criteria
    if criterion not in info.criteria:
        raise DataError("unknown criterion", value=criterion, remedy=f"Expected one of {', '.join(info.criteria)}")
    return (criterion,)


def _called_by_run(rows: Sequence[ContenderCompletion], file: Path) -> list[ContenderCompletion]:
    if file.parent.name != "completions":
        return list(rows)
    run = file.resolve().parent.parent.name
    return [row.model_copy(update={"contender": f"{run}/{row.contender}"}) for row in rows]


def _pairs_by_item(agreed: pd.DataFrame) -> dict[int, list[dict[Hashable, Any]]]:
    grouped: dict[int, list[dict[Hashable, Any]]] = {}
    for row in agreed.to_dict("records"):
        grouped.setdefault(row["item_id"], []).append(row)
    return grouped


def _ranking(
    item: dict[str, Any], item_id: int, pairs: Sequence[dict[Hashable, Any]], versions: list[str]
) -> Ranking | None:
    """The item with its completions in order; None when nothing is preferred to anything."""
    beaten = dict.fromkeys(item["texts"], 0.0)
    for pair in pairs:
        points = POINTS.get(pair["outcome"], 0.5)
        beaten[pair["contender"]] += points
        beaten[pair["baseline"]] += 1 - points
    levels = sorted(set(beaten.values()), reverse=True)
    decided = [pair for pair in pairs if pair["outcome"] in POINTS]
    if len(levels) < 2:
        return None
    history = [Message.model_validate(turn) for turn in item["history"]]
    return Ranking(
        id=f"task-{pairs[0]['task_id']}-{item_id}",
        prompt=last_message(item["prompt"], history),
        history=history,
        prompt_id=item["prompt_id"],
        category=item["category"],
        completions=[Completion(id=name, text=text, source=name) for name, text in item["texts"].items()],
        ranking=[[name for name, points in beaten.items() if points == level] for level in levels],
        weight=_mean([pair["confidence"] for pair in decided]),
        provenance=Provenance(
            task=pairs[0]["task_id"],
            criterion=pairs[0]["criterion"],
            instruction_versions=versions,
            votes=max(pair["votes"] for pair in pairs),
            agreement=_mean([pair["agreement"] for pair in pairs]),
            method=pairs[0]["method"],
            simulated=bool(pairs[0]["simulated"]),
        ),
    )


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)
