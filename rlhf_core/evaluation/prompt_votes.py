"""What people's votes say of each prompt, and whether a score chooses as they do."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rlhf_core.evaluation.ballots import pair_items
from rlhf_core.evaluation.consensus import consensus
from rlhf_core.evaluation.judges import DECIDED, score_outcomes

SPLIT = "split"
AGREE, DISAGREE, OPEN, UNJUDGED = "agree", "disagree", "undecided", ""
"""A prompt is undecided where people, or the score, chose no side, and unjudged without a vote or without scores."""


def by_prompt(votes: pd.DataFrame) -> pd.DataFrame:
    """Return `votes` (how many), `win_rate` (mean score) and `choice` by prompt_id, of one criterion and pair.

    `choice` is the commonest outcome, `split` where several lead (`consensus`).

    Raises:
        DataError: as `consensus`.
    """
    if votes.empty:
        return pd.DataFrame({"votes": [], "win_rate": [], "choice": []}, index=pd.Index([], name="prompt_id"))
    agreed = consensus(pair_items(votes)).drop_duplicates("prompt_id").set_index("prompt_id")
    found = votes.groupby("prompt_id")["score"].agg(votes="size", win_rate="mean")
    return found.assign(
        choice=np.where(agreed["split"], SPLIT, agreed["outcome"])[agreed.index.get_indexer(found.index)]
    )


def same_choice(choices: ArrayLike, before: ArrayLike, after: ArrayLike) -> NDArray[np.object_]:
    """Return AGREE, DISAGREE, OPEN or UNJUDGED, for each prompt, of people's choices and a score where more is better.

    `choices` are those of `by_prompt`, "" without votes; `before` and `after` scores of baseline and contender, NaN without.
    """
    people = np.asarray(choices, dtype=object)
    old, new = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    known = np.isfinite(old) & np.isfinite(new) & (people != "")
    scored = score_outcomes(np.where(known, new, 0.0), np.where(known, old, 0.0)).astype(object)
    decided = np.isin(people, DECIDED) & np.isin(scored, DECIDED)
    return np.where(known, np.where(decided, np.where(people == scored, AGREE, DISAGREE), OPEN), UNJUDGED).astype(
        object
    )
