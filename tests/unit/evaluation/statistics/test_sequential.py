"""May I stop: what counts as one score, the verdict, and how many more."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rlhf_core.errors import DataError
from rlhf_core.evaluation.statistics import may_i_stop
from rlhf_core.evaluation.statistics.sequential import HORIZON, more_prompts, prompt_scores
from tests.vote_factory import vote_frame

W, L, T = "contender", "baseline", "tie"


def in_order(outcomes: list[str], prompts: list[str] | None = None) -> pd.DataFrame:
    """Votes that arrived in this order."""
    return vote_frame(outcomes, prompts=prompts or ()).assign(vote_id=range(len(outcomes)))


def test_each_prompt_speaks_once():
    # p W, q L, p L, r T, q W: the first votes are W L T. With two votes each p is complete third, q fifth, r never.
    votes = in_order([W, L, L, T, W], list("pqprq"))
    assert prompt_scores(votes).tolist() == [1, 0, 0.5]
    assert prompt_scores(votes, overlap=2).tolist() == [0.5, 0.5]
    assert prompt_scores(votes.iloc[::-1]).tolist() == [1, 0, 0.5]


def test_a_clock_that_is_put_back_changes_nothing():
    # The win came first, whatever the clock says.
    votes = in_order([W, L], ["p", "p"]).assign(created_at=["2026-10-25T02:30", "2026-10-25T02:10"])
    assert prompt_scores(votes).tolist() == [1] == prompt_scores(votes.iloc[::-1]).tolist()


def test_it_says_stop_where_the_interval_leaves_one_half():
    # 15 wins in a row settle it (see test_betting): the 15th, whatever comes after.
    for outcome, verdict in ((W, "contender is better"), (L, "baseline is better")):
        stopping = may_i_stop(in_order([outcome] * 15 + [T] * 5))
        assert (stopping.stopped_at, stopping.verdict, stopping.more) == (15, verdict, None)
        assert len(stopping.low) == len(stopping.high) == 20


def test_it_says_continue_and_how_many_more():
    # After 14 wins one more would do; counted in tens, and with one loss and one win added to what is drawn from, ten.
    stopping = may_i_stop(in_order([W] * 14))
    assert (stopping.stopped_at, stopping.verdict, stopping.more) == (None, "continue", 10)


def test_no_complete_prompt_says_continue():
    stopping = may_i_stop(in_order([W, L]), overlap=2)
    assert (len(stopping.low), stopping.stopped_at, stopping.verdict, stopping.more) == (0, None, "continue", None)


def test_how_many_more_is_the_median_of_what_happens():
    # 100 prompts at 0.55 with 30% ties, continued by drawing from them (and a 0 and a 1): play 400 such judgings out.
    scores = np.repeat([1.0, 0.5, 0.0], [40, 30, 30])
    rng = np.random.default_rng(8)
    pool, needed = np.append(scores, [0, 1]), []
    stakes = np.array([0.4, 0.2, 0.1, 0.05])
    for _ in range(400):
        path = np.append(scores, rng.choice(pool, 3000))
        wealth = [(1 + s * np.outer(2 * path - 1, stakes)).cumprod(axis=0).mean(1) for s in (1, -1)]
        over = np.flatnonzero((np.maximum(*wealth) >= 40)[100:])
        needed.append(over[0] + 1 if len(over) else np.inf)
    assert more_prompts(scores) == pytest.approx(np.median(needed), rel=0.15)


def test_equal_so_far_is_more_than_anyone_would_judge():
    assert more_prompts(np.tile([0.0, 1.0], 2000)) is None
    assert HORIZON == 5000


@pytest.mark.parametrize(
    ("votes", "overlap", "message"),
    [
        (vote_frame([W, L]), 1, r"columns are missing \(found \['vote_id'\]\)"),
        (in_order([W, L]), 0, r"a prompt needs at least one vote \(found 0\). Give the planned votes per prompt"),
        (in_order([W]).iloc[:0], 1, "no votes to count"),
    ],
)
def test_votes_without_order_are_refused(votes: pd.DataFrame, overlap: int, message: str):
    with pytest.raises(DataError, match=message):
        may_i_stop(votes, overlap)
