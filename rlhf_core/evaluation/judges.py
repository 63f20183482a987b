"""An automatic judge (reward model, toxicity scorer, language model) against what people agreed on. Never pooled with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rlhf_core.errors import DataError
from rlhf_core.evaluation.agreement import cohen_kappa
from rlhf_core.evaluation.ballots import outcome_codes
from rlhf_core.evaluation.statistics import OUTCOMES, Estimate, accuracy_interval

DECIDED = OUTCOMES[:2]
KEYS = ["item_id", "criterion"]


@dataclass(frozen=True)
class JudgeReport:
    """How a judge's outcomes compare with people's consensus on the same items.

    Attributes:
        items: items that both judged; `unjudged` are those that people judged and it did not.
        agreement: share of items with the same outcome, all four outcomes told apart.
        decided: the same share among the items that both decided for one side; None when there are none.
        kappa: Cohen's κ; None when it is not defined, and `problem` then says why.
        confusion: items by people's outcome (rows) and the judge's (columns), in the order of OUTCOMES.
    """

    items: int
    unjudged: int
    agreement: Estimate
    decided: Estimate | None
    kappa: Estimate | None
    confusion: pd.DataFrame
    problem: str | None


def score_outcomes(contender: ArrayLike, baseline: ArrayLike, margin: float = 0.0) -> NDArray[np.str_]:
    """Return the outcome of scores where more is better: contender if s_c − s_b > margin, baseline if < −margin, else tie.

    Both arrays are (item,), in the scorer's unit, as is `margin` ≥ 0. Turn the sign of scores where less is better, such as
    toxicity. Scores never say "both bad".

    Raises:
        DataError: lengths that differ, scores that are missing or infinite, or a negative margin.
    """
    ours, theirs = np.asarray(contender, dtype=float), np.asarray(baseline, dtype=float)
    if ours.shape != theirs.shape or ours.ndim != 1:
        raise DataError("expected one score for each side of an item", value=[list(ours.shape), list(theirs.shape)])
    if bad := int(np.sum(~(np.isfinite(ours) & np.isfinite(theirs)))):
        raise DataError(
            f"{bad} of {len(ours)} pairs of scores are missing or infinite", remedy="Leave those items out, and say so"
        )
    if not 0 <= margin < np.inf:
        raise DataError("a tie margin is a number from 0", value=margin)
    difference = ours - theirs
    return np.where(difference > margin, "contender", np.where(difference < -margin, "baseline", "tie"))


def judge_against_people(verdicts: pd.DataFrame, people: pd.DataFrame, *, simulated: bool = False) -> JudgeReport:
    """Compare a judge's outcomes with a consensus of people, item by item; intervals are clustered by prompt.

    Args:
        verdicts: `item_id`, `criterion` and `outcome`, one row an item and criterion.
        people: what `consensus.consensus` returns, of people's votes and one criterion.
        simulated: whether the consensus is one of simulated votes, which a trial of the loop has in people's place.

    Raises:
        DataError: columns missing, no item that both judged, an item twice, unknown outcomes, several criteria, or a
            consensus of simulated votes where people's is expected, or the other way round.
    """
    return _report(_paired(verdicts, people, simulated))


def judge_by(verdicts: pd.DataFrame, people: pd.DataFrame, column: str) -> dict[str, JudgeReport]:
    """Compare within each value of `column` of either frame (such as "category"), in the order of the values.

    Slices without an item that the judge judged are left out.

    Raises:
        DataError: as `judge_against_people`, or `column` is in neither frame, or rows have no value in it.
    """
    pairs = _paired(verdicts, people)
    if column not in pairs.columns:
        raise DataError("no such column to slice by", value=column, remedy=f"There are {list(pairs.columns)}")
    if missing := int(pairs.loc[pairs["judge"].notna(), column].isna().sum()):
        raise DataError(f"{missing} items have no value to slice by", value=column)
    slices = pairs.groupby(column, sort=True)
    return {str(name): _report(part) for name, part in slices if part["judge"].notna().to_numpy().any()}


def _paired(verdicts: pd.DataFrame, people: pd.DataFrame, simulated: bool = False) -> pd.DataFrame:
    """Return people's rows with the judge's outcome in `judge`, NA where it gave none."""
    _check(verdicts, "the judge's outcomes", [*KEYS, "outcome"])
    _check(people, "the consensus", [*KEYS, "outcome", "prompt_id", "simulated"])
    if np.any(people["simulated"].to_numpy() != simulated):
        found = "people's" if simulated else "simulated"
        remedy = "Judges are compared with people: use a consensus of their votes"
        if simulated:
            remedy = "A trial with simulated votes has no people's among them"
        raise DataError(f"a consensus of {found} votes", where="the consensus", remedy=remedy)
    if len(found := sorted(people["criterion"].unique())) > 1:
        raise DataError(
            "several criteria at once", where="the consensus", value=found, remedy="Compare them one by one"
        )
    extra = [name for name in verdicts.columns if name not in people.columns]
    told = verdicts.loc[:, [*KEYS, "outcome", *extra]].rename(columns={"outcome": "judge"})
    pairs = people.merge(told, on=KEYS, how="left")
    if pairs["judge"].isna().to_numpy().all():
        raise DataError("no item was judged by both", remedy="Compare the item_id and criterion of the two frames")
    return pairs


def _check(frame: pd.DataFrame, where: str, columns: Sequence[str]) -> None:
    if missing := [name for name in columns if name not in frame.columns]:
        raise DataError("columns are missing", where=where, value=missing, remedy=f"There are {list(frame.columns)}")
    if unknown := sorted(set(frame["outcome"].astype(str).unique()) - set(OUTCOMES)):
        raise DataError("unknown outcomes", where=where, value=unknown, remedy=f"Expected {', '.join(OUTCOMES)}")
    twice = frame.duplicated(KEYS).to_numpy()
    if twice.any():
        raise DataError("an item has several outcomes", where=where, value=frame.loc[twice, KEYS].iloc[0].to_dict())


def _report(pairs: pd.DataFrame) -> JudgeReport:
    both = pairs.loc[pairs["judge"].notna().to_numpy()]
    prompts = both["prompt_id"].to_numpy()
    theirs, its = both["outcome"].to_numpy(), both["judge"].to_numpy()
    same = theirs == its
    decided = np.isin(theirs, DECIDED) & np.isin(its, DECIDED)
    kappa, problem = None, None
    try:
        kappa = cohen_kappa(theirs, its, prompts)
    except DataError as error:
        problem = f"Cohen's κ is not defined: {error}"
    return JudgeReport(
        items=len(both),
        unjudged=len(pairs) - len(both),
        agreement=accuracy_interval(same, prompts),
        decided=accuracy_interval(same[decided], prompts[decided]) if decided.any() else None,
        kappa=kappa,
        confusion=_confusion(theirs, its),
        problem=problem,
    )


def _confusion(people: NDArray[Any], judge: NDArray[Any]) -> pd.DataFrame:
    size = len(OUTCOMES)
    table = np.bincount(outcome_codes(people) * size + outcome_codes(judge), minlength=size**2).reshape(size, size)
    return pd.DataFrame(table, pd.Index(OUTCOMES, name="people"), pd.Index(OUTCOMES, name="judge"))
