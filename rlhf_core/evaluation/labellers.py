"""How well each labeller judges: gold items, repeats, agreement with the others, side bias, speed. Evidence, never removal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from rlhf_core.evaluation.ballots import check_votes, outcome_codes
from rlhf_core.evaluation.statistics import LEVEL, OUTCOMES

Ints = NDArray[np.int64]
COLUMNS = (
    *("item_id", "labeller", "criterion", "outcome", "contender_side", "reading_seconds"),
    *("simulated", "kind", "repeat_of", "gold"),
)
WORDS_PER_MINUTE = 500
"""Nobody is taken to read faster: about twice the mean of adults reading silently, 238 (Brysbaert 2019, J. Mem. Lang. 109)."""
EXPECTED = {"gold": 0.7, "side_a": 0.5, "too_fast": 0.1}
"""What these shares are compared with; the others with the share of all other labellers."""
LOW_IS_ODD, HIGH_IS_ODD = {"gold", "consistency", "with_others", "side_a"}, {"side_a", "too_fast", "ties"}
SHARES = {
    "gold": "known answers right",
    "consistency": "hidden repeats answered alike",
    "with_others": "items judged as most others did",
    "side_a": "decided votes for side A",
    "too_fast": f"votes faster than {WORDS_PER_MINUTE} words a minute",
    "ties": "votes for a tie or both bad",
}
"""What is counted, by the beginning of its columns: `<name>_k` of `<name>_n`, `<name>` their ratio, `<name>_low`, `<name>_high`."""


def labeller_quality(votes: pd.DataFrame) -> pd.DataFrame:
    """Return one row per criterion and labeller: six shares with exact 95% intervals, the median reading time, and `remarks`.

    - gold: outcomes equal to the known one, of gold items.
    - consistency: hidden repeats (sides swapped) whose outcome is that of the first time.
    - with_others: ordinary items on which the other labellers have one commonest outcome and this labeller gave it.
    - side_a: of decided votes on ordinary items, those for side A. Sides are counterbalanced, so ½ means no bias.
    - too_fast: ordinary votes with reading_seconds < 60·words/500, where the frame has `words` (prompt and both answers).
      Who decides before having read everything counts as too fast, so this asks for a look, no more.
    - ties: ordinary votes for a tie or both bad.

    A share of nothing is NaN with n = 0. Intervals are Clopper & Pearson's (1934), whose coverage is never below 95%, of
    votes taken as independent. A remark says in words what stands out, with its evidence: gold below 0.7, side_a off ½,
    too_fast above 0.1 (binomial tail), consistency or with_others below, ties above the other labellers' (Fisher's exact
    test), each where the tail's probability is at most 0.025/labellers (Bonferroni: among many somebody stands out by
    chance).

    Raises:
        DataError: columns missing, unknown outcomes, a vote that is there twice, or people and simulations together.
    """
    check_votes(votes, COLUMNS)
    keys = ["criterion", "labeller"]
    facts = votes[keys].assign(**_facts(votes))
    groups = facts.groupby(keys, sort=True)
    sums: Any = groups.sum()
    counts: Any = groups.count()
    table = pd.DataFrame({"votes": sums["ordinary"].astype(int), "median_seconds": groups["seconds"].median()})
    for name in SHARES:
        table = table.join(_share(name, sums[name].to_numpy(), counts[name].to_numpy(), table.index))
    table = table.reset_index()
    return table.assign(remarks=_remarks(table))


def exact_interval(
    k: NDArray[np.float64], n: NDArray[np.float64], level: float = LEVEL
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of Clopper & Pearson's interval for k of n; 0 and 1 where n = 0.

    low = the α/2 quantile of Beta(k, n − k + 1), high = the 1 − α/2 quantile of Beta(k + 1, n − k).
    """
    k, n = np.asarray(k, dtype=float), np.asarray(n, dtype=float)
    tail = (1 - level) / 2
    low = np.where(k > 0, stats.beta.ppf(tail, np.maximum(k, 1), n - k + 1), 0.0)
    high = np.where(k < n, stats.beta.ppf(1 - tail, k + 1, np.maximum(n - k, 1)), 1.0)
    return low, high


def _facts(votes: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Return what is said of each vote, each (vote,): 1, 0, or NaN where it does not count."""
    kind, outcome, seconds = (votes[name].to_numpy() for name in ("kind", "outcome", "reading_seconds"))
    ordinary, decided = kind == "item", np.isin(outcome, OUTCOMES[:2])
    chose_a = (outcome == "contender") == (votes["contender_side"].to_numpy() == "a")
    needed = (
        60 * votes["words"].to_numpy() / WORDS_PER_MINUTE if "words" in votes.columns else np.full(len(votes), np.nan)
    )
    return {
        "gold": np.where(kind == "gold", outcome == votes["gold"].to_numpy(), np.nan),
        "consistency": _same_as_before(votes),
        "with_others": _as_the_others(votes, ordinary),
        "side_a": np.where(ordinary & decided, chose_a, np.nan),
        "too_fast": np.where(ordinary & ~np.isnan(needed) & ~np.isnan(seconds), seconds < needed, np.nan),
        "ties": np.where(ordinary, ~decided, np.nan),
        "ordinary": ordinary,
        "seconds": np.where(ordinary, seconds, np.nan),
    }


def _same_as_before(votes: pd.DataFrame) -> NDArray[np.float64]:
    """Return for each repeat whether its outcome is that of the same labeller's vote on the item it repeats."""
    repeat = (votes["kind"] == "repeat").to_numpy()
    who = ["labeller", "criterion"]
    first = votes.loc[~repeat, [*who, "item_id", "outcome"]].rename(
        columns={"item_id": "repeat_of", "outcome": "before"}
    )
    before = votes[[*who, "repeat_of"]].merge(first, on=[*who, "repeat_of"], how="left")["before"]
    return np.where(repeat & before.notna().to_numpy(), votes["outcome"].to_numpy() == before.to_numpy(), np.nan)


def _as_the_others(votes: pd.DataFrame, ordinary: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return for each ordinary vote whether it is the others' commonest outcome; NaN where they have none or several."""
    own = np.eye(len(OUTCOMES))[outcome_codes(votes["outcome"])] * ordinary[:, None]
    items = votes.groupby(["item_id", "criterion"]).ngroup().to_numpy()
    totals = np.stack([np.bincount(items, weights=column) for column in own.T], axis=1)
    others = totals[items] - own
    best = others.max(axis=1)
    clear = ordinary & (best > 0) & ((others == best[:, None]).sum(axis=1) == 1)
    return np.where(clear, (others * own).sum(axis=1) == best, np.nan)


def _share(name: str, k: NDArray[Any], n: NDArray[Any], index: pd.Index) -> pd.DataFrame:
    low, high = exact_interval(k, n)
    unknown = np.where(n > 0, 0.0, np.nan)
    columns = {f"{name}_k": k.astype(int), f"{name}_n": n, name: k / np.maximum(n, 1) + unknown}
    return pd.DataFrame(columns | {f"{name}_low": low + unknown, f"{name}_high": high + unknown}, index=index)


def _remarks(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return what stands out in each row of the table."""
    rare = (1 - LEVEL) / 2 / len(set(table["labeller"]))
    said: list[list[str]] = [[] for _ in range(len(table))]
    for name, what in SHARES.items():
        k, n = table[f"{name}_k"].to_numpy(), table[f"{name}_n"].to_numpy()
        others_k, others_n = (_of_others(table, column) for column in (f"{name}_k", f"{name}_n"))
        below, above = _tails(name, k, n, others_k, others_n)
        odd = ((below <= rare) & (name in LOW_IS_ODD)) | ((above <= rare) & (name in HIGH_IS_ODD))
        for row in np.flatnonzero(odd):
            others = f"others {others_k[row]} of {others_n[row]}"
            compared = f"expected {EXPECTED[name]:.2f}" if name in EXPECTED else others
            ends = f"[{table[f'{name}_low'].iloc[row]:.2f}, {table[f'{name}_high'].iloc[row]:.2f}]"
            said[row].append(f"{k[row]} of {n[row]} {what} {ends}; {compared}")
    return [tuple(one) for one in said]


def _tails(name: str, k: Ints, n: Ints, others_k: Ints, others_n: Ints) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return P(K ≤ k) and P(K ≥ k) if the labeller were as expected, or like the others; 1 where nothing is compared."""
    expected, like_others = name in EXPECTED, (n + others_n, k + others_k, n)
    law = stats.binom(n, EXPECTED[name]) if expected else stats.hypergeom(*like_others)
    return law.cdf(k), law.sf(k - 1)


def _of_others(table: pd.DataFrame, column: str) -> Ints:
    """Return the sum over the other labellers of one criterion, (row,)."""
    return (table.groupby("criterion")[column].transform("sum") - table[column]).to_numpy()
