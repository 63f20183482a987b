"""Votes for a report and the pages: people's and simulated ones read, kept apart, and summarised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rlhf_core.data.io import parse_json
from rlhf_core.errors import DataError, RunError
from rlhf_core.evaluation.ballots import pair_items
from rlhf_core.evaluation.consensus import consensus
from rlhf_core.evaluation.statistics import (
    OUTCOMES,
    VOTE_COLUMNS,
    length_controlled,
    may_i_stop,
    outcome_shares,
    position_bias,
    win_rate,
    win_rate_by,
)
from rlhf_core.report.parts import Stop, Votes

COLUMNS = (
    *VOTE_COLUMNS,
    *("vote_id", "task_id", "item_id", "criterion", "category", "kind", "repeat_of", "gold"),
    *("length_difference", "words", "reading_seconds", "reason", "created_at", "instruction_version"),
)
"""Columns of `VoteStore.votes()` that are needed here."""
STEPS = 200
"""So many points of a stop interval are kept."""


def gather_votes(run_path: Path, votes: pd.DataFrame | None) -> pd.DataFrame:
    """Return `votes` together with the simulated votes the run brings along in `votes.jsonl`, each vote once.

    Labellers are numbered ("labeller 1", "simulated 1"): a report travels further than the names in it should.

    Raises:
        DataError: columns of the votes frame are missing.
        RunError: `votes.jsonl` is damaged or holds votes that are not marked as simulated.
    """
    parts = [part for part in (votes, read_simulated(run_path)) if part is not None and len(part)]
    if not parts:
        return pd.DataFrame(columns=list(COLUMNS))
    for part in parts:
        if missing := [name for name in COLUMNS if name not in part]:
            raise DataError("columns are missing", where="votes", value=missing, remedy="Expected VoteStore.votes()")
    together = pd.concat(parts, ignore_index=True).astype({"simulated": bool})
    return _numbered(together.drop_duplicates(ignore_index=True))


def read_simulated(run_path: Path) -> pd.DataFrame:
    """Return the simulated votes a run brings along in `votes.jsonl`; empty for most runs.

    Raises:
        RunError: the file is damaged, or holds votes that are not marked as simulated.
    """
    path = run_path / "votes.jsonl"
    if not path.is_file():
        return pd.DataFrame()
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        frame = pd.DataFrame([parse_json(line) for line in lines if line.strip()])
    except ValueError as error:
        raise RunError(f"damaged votes: {error}", where=path, remedy="Put the file back as it was recorded") from error
    if len(frame) and not ("simulated" in frame and all(flag is True for flag in frame["simulated"].tolist())):
        raise RunError(
            "a vote is not marked as simulated", where=path, remedy="People's votes belong in the vote store"
        )
    return frame


def summarise(votes: pd.DataFrame, *, simulated: bool, overlap: int = 1) -> tuple[Votes, ...]:
    """Summarise people's votes, or the simulated ones: one record for each criterion and pair of contenders compared.

    `overlap` is the planned number of votes on an item.
    """
    mine = votes.loc[votes["simulated"] == simulated]
    pairs = mine.groupby(["criterion", "baseline", "contender"], sort=True)
    return tuple(_summary(part, overlap) for _, part in pairs)


def vote_rows(votes: pd.DataFrame) -> tuple[dict[str, Any], ...]:
    """Return the votes as plain rows, missing values as None."""
    return tuple(votes.astype(object).where(votes.notna(), None).to_dict("records"))


def _summary(votes: pd.DataFrame, overlap: int) -> Votes:
    first, decided = votes.iloc[0], votes.loc[votes["outcome"].isin(["contender", "baseline"])]
    return Votes(
        simulated=bool(first["simulated"]),
        criterion=str(first["criterion"]),
        baseline=str(first["baseline"]),
        contender=str(first["contender"]),
        n=len(votes),
        prompts=len(votes["prompt_id"].unique()),
        labellers=len(votes["labeller"].unique()),
        instruction_versions=tuple(sorted(map(str, votes["instruction_version"].unique()))),
        win_rate=win_rate(votes),
        shares=outcome_shares(votes),
        position_bias=position_bias(votes),
        by_category=win_rate_by(votes, "category"),
        consensus=_consensus(votes),
        stop=_stop(votes, overlap),
        decided=win_rate(decided) if len(decided) else None,
        equal_length=length_controlled(votes),
    )


def _consensus(votes: pd.DataFrame) -> dict[str, int]:
    agreed = consensus(pair_items(votes))
    outcomes = np.where(agreed["split"], "split", agreed["outcome"])
    return {name: int((outcomes == name).sum()) for name in (*OUTCOMES, "split")}


def _stop(votes: pd.DataFrame, overlap: int) -> Stop:
    found = may_i_stop(votes, overlap)
    prompts = len(found.low)
    if not prompts:
        return Stop(overlap, 0, 0.0, 1.0, None, found.verdict, found.more, ())
    kept = np.unique(np.linspace(0, prompts - 1, min(prompts, STEPS)).round().astype(int))
    path = tuple(zip((kept + 1).tolist(), found.low[kept].tolist(), found.high[kept].tolist(), strict=True))
    return Stop(overlap, prompts, *path[-1][1:], found.stopped_at, found.verdict, found.more, path)


def _numbered(votes: pd.DataFrame) -> pd.DataFrame:
    names: dict[tuple[str, bool], str] = {}
    for simulated, word in ((False, "labeller"), (True, "simulated")):
        people = sorted(votes.loc[votes["simulated"] == simulated, "labeller"].astype(str).unique())
        names |= {(person, simulated): f"{word} {n}" for n, person in enumerate(people, 1)}
    pairs = zip(votes["labeller"].astype(str), votes["simulated"], strict=True)
    return votes.assign(labeller=[names[person, bool(simulated)] for person, simulated in pairs])
