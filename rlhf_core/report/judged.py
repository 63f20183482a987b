"""Votes for a report: people's and simulated ones read, kept apart, and summarised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from rlhf_core.data.io import parse_json
from rlhf_core.errors import DataError, RunError
from rlhf_core.evaluation.statistics import VOTE_COLUMNS, outcome_shares, position_bias, win_rate, win_rate_by
from rlhf_core.report.parts import Votes


def gather_votes(run_path: Path, votes: pd.DataFrame | None) -> pd.DataFrame:
    """Return `votes` together with the simulated votes the run brings along in `votes.jsonl`, each vote once.

    Labellers are numbered ("labeller 1", "simulated 1"): a report travels further than the names in it should.

    Raises:
        DataError: columns of the votes frame are missing.
        RunError: `votes.jsonl` is damaged or holds votes that are not marked as simulated.
    """
    parts = [part for part in (votes, _read_simulated(run_path / "votes.jsonl")) if part is not None and len(part)]
    if not parts:
        return pd.DataFrame(columns=list(VOTE_COLUMNS))
    for part in parts:
        if missing := [name for name in VOTE_COLUMNS if name not in part]:
            raise DataError("columns are missing", where="votes", value=missing, remedy="Expected VoteStore.votes()")
    together = pd.concat(parts, ignore_index=True).astype({"simulated": bool})
    return _numbered(together.drop_duplicates(ignore_index=True))


def summarise(votes: pd.DataFrame, *, simulated: bool) -> tuple[Votes, ...]:
    """Summarise people's votes, or the simulated ones: one record per pair of contenders compared."""
    mine = votes.loc[votes["simulated"] == simulated]
    pairs = sorted(set(zip(mine["baseline"], mine["contender"], strict=True)))
    return tuple(_summary(mine, *pair, simulated=simulated) for pair in pairs)


def vote_rows(votes: pd.DataFrame) -> tuple[dict[str, Any], ...]:
    """Return the votes as plain rows, missing values as None."""
    return tuple(votes.astype(object).where(votes.notna(), None).to_dict("records"))


def _summary(together: pd.DataFrame, baseline: str, contender: str, *, simulated: bool) -> Votes:
    votes = together.loc[(together["baseline"] == baseline) & (together["contender"] == contender)]
    versions = set(votes["instruction_version"].astype(str)) if "instruction_version" in votes else set()
    return Votes(
        simulated=simulated,
        baseline=baseline,
        contender=contender,
        n=len(votes),
        prompts=len(set(votes["prompt_id"])),
        labellers=len(set(votes["labeller"])),
        instruction_versions=tuple(sorted(versions)),
        win_rate=win_rate(votes),
        shares=outcome_shares(votes),
        position_bias=position_bias(votes),
        by_category=win_rate_by(votes, "category") if "category" in votes else {},
    )


def _numbered(votes: pd.DataFrame) -> pd.DataFrame:
    names: dict[tuple[str, bool], str] = {}
    for simulated, word in ((False, "labeller"), (True, "simulated")):
        people = sorted(votes.loc[votes["simulated"] == simulated, "labeller"].astype(str).unique())
        names |= {(person, simulated): f"{word} {n}" for n, person in enumerate(people, 1)}
    pairs = zip(votes["labeller"].astype(str), votes["simulated"], strict=True)
    return votes.assign(labeller=[names[person, bool(simulated)] for person, simulated in pairs])


def _read_simulated(path: Path) -> pd.DataFrame | None:
    if not path.is_file():
        return None
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
