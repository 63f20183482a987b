"""From several people's votes to one outcome per item and criterion, with a confidence that serves as its weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy.special import expit

from rlhf_core.errors import DataError
from rlhf_core.evaluation.ballots import by_criterion, item_votes, one_row_each, outcome_codes
from rlhf_core.evaluation.label_models import Ballots, Floats, dawid_skene, mace
from rlhf_core.evaluation.side_bias import Comparisons, noisy_bradley_terry
from rlhf_core.evaluation.statistics import OUTCOMES

ITEM_COLUMNS = ("task_id", "item_id", "prompt_id", "category", "criterion", "baseline", "contender", "simulated")
COLUMNS = (*ITEM_COLUMNS, "outcome", "confidence", "split", "votes", "agreement", "method")
NEAR = 1e-9
"""Probabilities closer than this are equal."""


def consensus(votes: pd.DataFrame, method: str = "majority") -> pd.DataFrame:
    """Return one row per item and criterion: the outcome on which the votes agree, and how sure it is.

    `confidence` (0…1) is the outcome's probability under the method, of use as a weight; `votes` how many there are, and
    `agreement` the share of them for this very outcome. Where several outcomes are equally likely, `split` is True, the
    outcome is a tie, and `confidence` is the probability that each of them has. Gold items and repeats are left out; each
    criterion is fitted alone.

    Methods (`METHODS`):
        majority: the commonest outcome; its probability is its share of the votes, so a single vote has confidence 1.
        dawid_skene: `label_models.dawid_skene`.
        mace: `label_models.mace`.
        noisy_bradley_terry: whose answer labellers prefer when they read rather than lean to a side
            (`side_bias.noisy_bradley_terry`). It knows no ties: items of which half the votes or more say tie or both bad
            keep their majority, and undecided votes on others do not count.

    Raises:
        DataError: an unknown method, or as `ballots.item_votes`.
    """
    if method not in METHODS:
        raise DataError("unknown consensus method", value=method, remedy=f"Expected {', '.join(METHODS)}")
    kept = item_votes(votes, *ITEM_COLUMNS, "contender_side")
    return pd.concat([_of_criterion(part, method) for _, part in by_criterion(kept)], ignore_index=True)


def label(probabilities: Floats) -> pd.DataFrame:
    """Return `outcome`, `confidence` and `split` by row of probabilities, (item, outcome) in the order of OUTCOMES."""
    best = probabilities.max(axis=1)
    split = (probabilities >= best[:, None] - NEAR).sum(axis=1) > 1
    outcome = np.where(split, "tie", np.array(OUTCOMES)[probabilities.argmax(axis=1)])
    return pd.DataFrame({"outcome": outcome, "confidence": best, "split": split})


def majority(votes: pd.DataFrame) -> Floats:
    """Return each outcome's share of an item's votes, (item, outcome)."""
    return _probabilities(votes, Ballots.shares)


def without_side_bias(votes: pd.DataFrame) -> Floats:
    """Return P(outcome), (item, outcome), by the noisy Bradley–Terry model; the answers of one prompt share strengths."""
    shares = majority(votes)
    decided = votes["outcome"].isin(["contender", "baseline"]).to_numpy()
    open_items = shares[:, 2:].sum(axis=1) >= 0.5 - NEAR
    if open_items.all():
        return shares
    contenders, baselines = _answers(votes)
    kept = votes[decided]
    fitted = noisy_bradley_terry(
        Comparisons(
            contenders[decided],
            baselines[decided],
            pd.factorize(kept["labeller"], sort=True)[0],
            (kept["outcome"] == "contender").to_numpy(),
            (kept["contender_side"] == "a").to_numpy(),
        )
    )
    strengths = np.zeros(max(contenders.max(), baselines.max()) + 1)
    strengths[: len(fitted.strengths)] = fitted.strengths
    first = np.unique(votes["item_id"], return_index=True)[1]
    preferred = expit(strengths[contenders[first]] - strengths[baselines[first]])
    fitted_shares = np.column_stack([preferred, 1 - preferred, np.zeros((len(shares), 2))])
    return np.where(open_items[:, None], shares, fitted_shares)


METHODS: Mapping[str, Callable[[pd.DataFrame], Floats]] = {
    "majority": majority,
    "dawid_skene": lambda votes: _probabilities(votes, dawid_skene),
    "mace": lambda votes: _probabilities(votes, mace),
    "noisy_bradley_terry": without_side_bias,
}


def _of_criterion(votes: pd.DataFrame, method: str) -> pd.DataFrame:
    items = one_row_each(votes, ITEM_COLUMNS)
    labelled = label(METHODS[method](votes))
    shares = majority(votes)
    agreement = shares[np.arange(len(items)), outcome_codes(labelled["outcome"])]
    counts = votes.groupby("item_id", sort=True).size().to_numpy()
    rows = items.join(labelled).assign(votes=counts, agreement=agreement, method=method)
    return rows.loc[:, list(COLUMNS)]


def _probabilities(votes: pd.DataFrame, model: Callable[[Ballots], Floats]) -> Floats:
    """Return (item, outcome); an outcome that nobody ever gave is not offered to the model, and has probability 0.

    Items and labellers are numbered in their order, so that the order of the rows does not matter.
    """
    given, labels = np.unique(outcome_codes(votes["outcome"]), return_inverse=True)
    items, names = pd.factorize(votes["item_id"], sort=True)
    probabilities = np.zeros((len(names), len(OUTCOMES)))
    labellers = pd.factorize(votes["labeller"], sort=True)[0]
    probabilities[:, given] = model(Ballots(items, labellers, labels, len(given)))
    return probabilities


def _answers(votes: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return a code for the contender's answer and one for the baseline's, each (vote,)."""
    prompts = votes["prompt_id"].to_numpy()
    names = np.concatenate([votes["contender"].to_numpy(), votes["baseline"].to_numpy()])
    keys = pd.MultiIndex.from_arrays([np.concatenate([prompts, prompts]), names])
    codes = pd.factorize(keys, sort=True)[0]
    return codes[: len(votes)], codes[len(votes) :]
