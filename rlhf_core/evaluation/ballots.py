"""The votes that agreement and consensus are made of: checked, one criterion at a time, counted by item and outcome."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rlhf_core.errors import DataError
from rlhf_core.evaluation.statistics import OUTCOMES

Counts = NDArray[np.int64]
COLUMNS = ("item_id", "prompt_id", "labeller", "criterion", "outcome", "simulated", "kind")


def item_votes(votes: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Return the votes on ordinary items (no gold, no repeats) after checking them; `columns` must be there too.

    Raises:
        DataError: columns missing, no votes on items, an unknown outcome, people and simulations together, or two votes
            of one labeller on the same item and criterion.
    """
    check_votes(votes, (*COLUMNS, *columns))
    kept = votes.loc[(votes["kind"] == "item").to_numpy()]
    if kept.empty:
        raise DataError("no votes on items", where="votes", remedy="Judge some pairs first")
    return kept


def check_votes(votes: pd.DataFrame, columns: Sequence[str]) -> None:
    """Check that a frame of votes has the columns, known outcomes, votes of one kind of voter, and no vote twice.

    Raises:
        DataError: there are none, or says which of these does not hold.
    """
    if missing := [name for name in columns if name not in votes.columns]:
        raise DataError("columns are missing", where="votes", value=missing, remedy=f"There are {list(votes.columns)}")
    if votes.empty:
        raise DataError("no votes to count", where="votes", remedy="Judge some pairs first")
    if unknown := sorted(set(votes["outcome"].unique()) - set(OUTCOMES)):
        raise DataError("unknown outcomes", where="votes", value=unknown, remedy=f"Expected {', '.join(OUTCOMES)}")
    if len(votes["simulated"].unique()) > 1:
        remedy = "Filter the votes by `simulated` first: these are never pooled"
        raise DataError("votes of people and of simulations together", where="votes", remedy=remedy)
    twice = votes.duplicated(["item_id", "criterion", "labeller", "kind"])
    if twice.any():
        row = votes.loc[twice, ["labeller", "item_id", "criterion"]].iloc[0].to_dict()
        what = f"{int(twice.sum())} votes repeat an item, a criterion and a labeller"
        raise DataError(what, where="votes", value=row, remedy="Keep the votes in force only")


def pair_items(votes: pd.DataFrame) -> pd.DataFrame:
    """Return the votes with every compared pair as an item of its own: a ranking of K completions makes K(K−1)/2.

    `item_id` and `repeat_of` are numbered anew, in the order of items and pairs; `of_item` keeps the item that was shown.
    """
    number = votes.groupby(["item_id", "baseline", "contender"], sort=True).ngroup()
    again = number.where(votes["repeat_of"].notna()).astype("Int64")
    return votes.assign(item_id=number, repeat_of=again, of_item=votes["item_id"])


def one_pair_each(votes: pd.DataFrame) -> pd.DataFrame:
    """Return `pair_items` with one pair of each item, a different one from item to item and the same for all labellers.

    The pairs of one ranking are not independent; one of them is a vote like any other.
    """
    pairs = pair_items(votes)
    kinds = pairs.groupby(["baseline", "contender"], sort=True).ngroup().to_numpy()
    turn = (kinds + pairs["of_item"].to_numpy()) % (kinds.max() + 1)
    first = pd.Series(turn, index=pairs.index).groupby(pairs["of_item"]).transform("min").to_numpy()
    return pairs.loc[turn == first]


def by_criterion(votes: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield (criterion, its votes) in the order of the criteria's names."""
    for criterion, part in votes.groupby("criterion", sort=True):
        yield str(criterion), part


def outcome_codes(outcomes: Any) -> Counts:
    """Return the place of each outcome in OUTCOMES, (vote,); −1 where there is none."""
    return pd.Index(OUTCOMES).get_indexer(pd.Index(outcomes)).astype(np.int64)


def one_row_each(votes: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return the columns of each item's first vote, in the order of `item_id`."""
    first = votes.loc[~votes["item_id"].duplicated().to_numpy(), list(columns)]
    return first.sort_values("item_id", ignore_index=True)


def count_outcomes(votes: pd.DataFrame) -> tuple[pd.DataFrame, Counts]:
    """Return the items of one criterion (`item_id`, `prompt_id`), by item, and their votes by outcome, (item, outcome)."""
    items = one_row_each(votes, ("item_id", "prompt_id"))
    rows = pd.Index(items["item_id"]).get_indexer(pd.Index(votes["item_id"]))
    width = len(OUTCOMES)
    flat = np.bincount(rows * width + outcome_codes(votes["outcome"]), minlength=len(items) * width)
    return items, flat.reshape(len(items), width).astype(np.int64)
