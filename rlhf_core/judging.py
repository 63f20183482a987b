"""What `rlhf task` does: make a judging task out of completions, and turn its votes into data for the next reward model."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from rlhf_core.data.io import read_jsonl, write_jsonl
from rlhf_core.data.records import Completion, ContenderCompletion, Preference, Provenance, Ranking
from rlhf_core.errors import DataError
from rlhf_core.evaluation.consensus import consensus
from rlhf_core.feedback.records import TaskInfo
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import TaskDesign, build_task

FORMATS = ("rankings", "preferences")


@dataclass(frozen=True)
class Exported:
    """What `export_task` wrote: `rows`, and why items are not among them."""

    rows: int
    without_votes: int
    undecided: int


def read_contenders(sources: Sequence[Path]) -> list[list[ContenderCompletion]]:
    """Read one contender from each completions file, and all of them from a run directory.

    Raises:
        DataError: a source is neither, or a file holds several contenders.
    """
    files: list[Path] = []
    for source in sources:
        files += sorted((source / "completions").glob("*.jsonl")) if source.is_dir() else [source]
    if not files:
        raise DataError(
            "no completions",
            value=[str(source) for source in sources],
            remedy="Name completions files, or a run with them",
        )
    return [read_jsonl(file, ContenderCompletion) for file in files]


def create_task(
    database: Path | str,
    name: str,
    sources: Sequence[Path],
    instructions: Path,
    design: TaskDesign,
    gold: Path | None,
    seed: int,
) -> TaskInfo:
    """Store a task as a draft, or open at once where no completion names its author.

    Raises:
        DataError: the sources do not make a task, or a file is missing or malformed.
        VoteError: the database cannot be used.
    """
    try:
        text = instructions.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read: {error}", where=instructions, remedy="Give a Markdown file, UTF-8") from error
    known = read_jsonl(gold, Ranking) if gold else []
    spec = build_task(name, read_contenders(sources), text, seed, design, known)
    with closing(VoteStore(database)) as store:
        return store.task(store.ensure_task(spec, "draft" if spec.leaks else "open"))


def export_task(
    database: Path | str, task_id: int, form: str, out: Path, method: str = "majority", criterion: str | None = None
) -> Exported:
    """Write people's consensus as rankings or preferences that `rlhf reward` trains on, weighted by its confidence.

    Simulated votes, gold items and repeats are never exported; ties and split items say nothing about order and are
    counted. Every row says where it comes from.

    Raises:
        DataError: an unknown form, method or criterion, or there is nothing to export.
    """
    if form not in FORMATS:
        raise DataError("unknown format", value=form, remedy=f"Expected {' or '.join(FORMATS)}")
    with closing(VoteStore(database)) as store:
        info = store.task(task_id)
        chosen = criterion or info.criteria[0]
        if chosen not in info.criteria:
            raise DataError("unknown criterion", value=chosen, remedy=f"Expected one of {', '.join(info.criteria)}")
        votes = store.votes(task_id)
        votes = votes.loc[(votes["criterion"] == chosen) & ~votes["simulated"]]
        if votes.empty:
            raise DataError("no votes of people to export", where=f"task {task_id}", remedy="Judge some items first")
        texts = store.texts(task_id)
    versions = votes.groupby("item_id")["instruction_version"].agg(lambda column: sorted(set(column)))
    rankings = []
    for item_id, pairs in _by_pair(votes, method).groupby("of_item", sort=True):
        origin = Provenance(
            task=task_id,
            criterion=chosen,
            instruction_versions=versions[item_id],
            votes=int(pairs["votes"].max()),
            agreement=float(pairs["agreement"].mean()),
            method=method,
        )
        if (ranking := _ranking(item_id, pairs, texts[item_id], origin)) is not None:
            rankings.append(ranking)
    rows = rankings if form == "rankings" else [row for ranking in rankings for row in preferences_of(ranking)]
    write_jsonl(out, rows)
    voted = len(versions)
    return Exported(rows=len(rows), without_votes=info.items - voted, undecided=voted - len(rankings))


def preferences_of(ranking: Ranking) -> list[Preference]:
    """Return the pairs of a ranking that are in order."""
    shared = {name: getattr(ranking, name) for name in ("prompt", "history", "category", "weight", "provenance")}
    return [
        Preference(id=f"{ranking.id}-{n}", chosen=chosen, rejected=rejected, **shared)
        for n, (chosen, rejected) in enumerate(ranking.pairs())
    ]


def _by_pair(votes: pd.DataFrame, method: str) -> pd.DataFrame:
    """The consensus of each compared pair; `of_item` is the item it belongs to (a ranking has several)."""
    pairs = votes.groupby(["item_id", "baseline", "contender"], sort=True)
    own = votes.assign(item_id=pairs.ngroup())
    items = dict(zip(own["item_id"], votes["item_id"], strict=True))
    agreed = consensus(own, method)
    return agreed.assign(of_item=agreed["item_id"].map(items))


def _ranking(item_id: Any, pairs: pd.DataFrame, item: dict[str, Any], origin: Provenance) -> Ranking | None:
    """Completions by the share of others they beat (Copeland); None when no pair is in order."""
    decided = pairs.loc[pairs["outcome"].isin(["contender", "baseline"])]
    if decided.empty:
        return None
    wins = dict.fromkeys(item["texts"], 0.0)
    for row in pairs.itertuples():
        score = {"contender": 1.0, "baseline": 0.0}.get(str(row.outcome), 0.5)
        wins[str(row.contender)] += score
        wins[str(row.baseline)] += 1 - score
    if len(set(wins.values())) < 2:
        return None
    groups = [[name for name in wins if wins[name] == value] for value in sorted(set(wins.values()), reverse=True)]
    return Ranking(
        id=f"task-{origin.task}-{item_id}",
        prompt=item["prompt"],
        prompt_id=item["prompt_id"],
        category=item["category"],
        completions=[Completion(id=name, text=text, source=name) for name, text in item["texts"].items()],
        ranking=groups,
        weight=float(decided["confidence"].mean()),
        provenance=origin,
    )
