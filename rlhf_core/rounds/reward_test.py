"""The old and the new reward model against people, on judged answers to prompts that neither has seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rlhf_core.data.io import iterate_jsonl, write_json
from rlhf_core.errors import DataError
from rlhf_core.evaluation.judges import DECIDED, JudgeReport, judge_against_people, score_outcomes
from rlhf_core.evaluation.statistics import Estimate, paired_difference

Scorer = Callable[[list[str], list[str]], Any]
FILE = Path("evaluation", "reward_against_votes.json")
POINTS = {"contender": 1.0, "baseline": 0.0, "tie": 0.5}


def read_pairs(path: Path) -> pd.DataFrame:
    """Return the judged pairs a round was tested with, in the columns of a consensus, with prompt and both texts.

    Raises:
        DataError: the file is damaged or holds no pair.
    """
    pairs = pd.DataFrame([row for _, row in iterate_jsonl(path)])
    if pairs.empty:
        raise DataError("holds no judged pair", where=path, remedy="Begin the round anew")
    return pairs


def compare_reward_models(pairs: pd.DataFrame, models: dict[str, Scorer], *, simulated: bool) -> dict[str, Any]:
    """Compare two reward models with people's consensus, and the second with the first.

    `models` score (prompts, texts), by name. A model's outcome on a pair is the side it scores higher. `difference` is over
    the pairs that people decided: the mean of 1[second agrees] − 1[first agrees], equal scores counting ½, its interval
    over prompts. `one_side` is how often a judge that always says the side people preferred more often would be right: where
    that is most of the time, agreement shows little. Both are None where people decided no pair.
    """
    outcomes = {name: _outcomes(pairs, score) for name, score in models.items()}
    keys = pairs.loc[:, ["item_id", "criterion"]]
    reports = {
        name: _as_json(judge_against_people(keys.assign(outcome=told), pairs, simulated=simulated))
        for name, told in outcomes.items()
    }
    decided = pairs["outcome"].isin(DECIDED).to_numpy()
    settled = pairs.loc[decided]
    difference = _difference(settled, *(told[decided] for told in outcomes.values())) if len(settled) else None
    return {
        "criterion": str(pairs["criterion"].iloc[0]),
        "simulated": simulated,
        "pairs": len(pairs),
        "prompts": pairs["prompt_id"].nunique(),
        "decided_by_people": len(settled),
        "one_side": float(settled["outcome"].value_counts(normalize=True).max()) if len(settled) else None,
        "models": reports,
        "difference": difference.as_json() if difference else None,
    }


def write_reward_test(run: Path, content: dict[str, Any]) -> None:
    """Write `evaluation/reward_against_votes.json` of a run."""
    write_json(run / FILE, content)


def _outcomes(pairs: pd.DataFrame, score: Scorer) -> np.ndarray[Any, Any]:
    """The side a reward model scores higher, (pair,)."""
    prompts = pairs["prompt"].tolist()
    ours, theirs = (score(prompts, pairs[f"{side}_text"].tolist()) for side in ("contender", "baseline"))
    return score_outcomes(ours, theirs)


def _difference(pairs: pd.DataFrame, first: Any, second: Any) -> Estimate:
    people, *judges = (np.array([POINTS[one] for one in told]) for told in (pairs["outcome"], first, second))
    right = [1 - np.abs(judge - people) for judge in judges]
    return paired_difference(*right, clusters=pairs["prompt_id"].to_numpy())


def _as_json(report: JudgeReport) -> dict[str, Any]:
    plain = asdict(report) | {"confusion": report.confusion.to_dict("index")}
    estimates = {"agreement": report.agreement, "decided": report.decided, "kappa": report.kappa}
    return plain | {name: found.as_json() if found else None for name, found in estimates.items()}
