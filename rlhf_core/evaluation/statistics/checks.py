"""What statistics refuse: numbers that are missing, lengths that differ, votes that must not be pooled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rlhf_core.errors import DataError

OUTCOMES = ("contender", "baseline", "tie", "both_bad")
VOTE_COLUMNS = ("prompt_id", "labeller", "baseline", "contender", "outcome", "score", "contender_side", "simulated")
NEVER_POOLED = ("simulated", "criterion", "baseline", "contender")

Floats = NDArray[np.floating[Any]]
Codes = NDArray[np.integer[Any]]


def numbers(values: ArrayLike, what: str = "values") -> Floats:
    """Return a list of finite numbers as an array.

    Raises:
        DataError: no values, or some that are missing or infinite.
    """
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or not len(x):
        raise DataError(f"no {what}: expected a list of numbers", value=list(x.shape))
    if bad := int(np.sum(~np.isfinite(x))):
        raise DataError(f"{bad} of {len(x)} {what} are missing or infinite", remedy="Leave those rows out, and say so")
    return x


def shares(values: ArrayLike) -> Floats:
    """Return numbers from 0 to 1 as an array.

    Raises:
        DataError: as `numbers`, or a value outside 0…1.
    """
    x = numbers(values)
    if x.min() < 0 or x.max() > 1:
        raise DataError("a share needs values from 0 to 1", value=[float(x.min()), float(x.max())])
    return x


def codes_of(labels: ArrayLike) -> Codes:
    """Number the distinct labels from 0 in order of appearance: (n,) integers.

    Raises:
        DataError: a label is missing.
    """
    values = labels if isinstance(labels, pd.Series | np.ndarray) else np.asarray(labels, dtype=object)
    codes = pd.factorize(values, use_na_sentinel=True)[0]
    if missing := int((codes < 0).sum()):
        raise DataError("some cluster labels are missing", value=missing)
    return codes


def same_length(left: Sequence[Any] | NDArray[Any], right: Sequence[Any] | NDArray[Any]) -> None:
    """Raise DataError unless there is one value for each."""
    if len(left) != len(right):
        raise DataError("lengths differ: expected one value for each", value=[len(left), len(right)])


def has_columns(frame: pd.DataFrame, names: Sequence[str], where: str = "votes") -> None:
    """Raise DataError, naming them, when columns are missing."""
    if missing := [name for name in names if name not in frame.columns]:
        raise DataError("columns are missing", where=where, value=missing, remedy=f"There are {list(frame.columns)}")


def has_votes(votes: pd.DataFrame, pooled: Sequence[str] = ()) -> None:
    """Raise DataError unless these are votes that may be counted together; `pooled` names columns that may vary."""
    has_columns(votes, VOTE_COLUMNS)
    if votes.empty:
        raise DataError("no votes to count", where="votes", remedy="Judge some pairs first")
    if unknown := sorted(set(votes["outcome"].unique()) - set(OUTCOMES)):
        raise DataError("unknown outcomes", where="votes", value=unknown, remedy=f"Expected {', '.join(OUTCOMES)}")
    for column in NEVER_POOLED:
        kinds = votes[column].unique() if column in votes and column not in pooled else ()
        if len(kinds) > 1:
            raise DataError(
                f"several values of `{column}` in one estimate",
                where="votes",
                value=[str(kind) for kind in kinds],
                remedy=f"Filter the votes by `{column}` first: these are never pooled",
            )
