"""The worst of k samples: against all subsets, by hand, and what is refused."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlhf_core.errors import DataError
from rlhf_core.evaluation.statistics import accuracy_interval, worst_of


def samples(*prompts: list[float]) -> pd.DataFrame:
    rows = [(f"p{i}", value) for i, values in enumerate(prompts) for value in values]
    return pd.DataFrame(rows, columns=["prompt_id", "value"])


def test_by_hand():
    # p: 0.1 0.2 0.9, two of three: pairs have the maxima 0.2 0.9 0.9, mean 2/3; two of the three reach ½.
    # q: 0.4 0.4 0.4: 0.4, and none.
    found = worst_of(samples([0.9, 0.1, 0.2], [0.4, 0.4, 0.4]), k=2)
    assert found.expected_maximum.value == pytest.approx((2 / 3 + 0.4) / 2)
    assert found.probability.value == pytest.approx((2 / 3 + 0) / 2)
    assert found.probability.clusters == 2


@given(
    prompts=st.lists(
        st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0]), min_size=3, max_size=6), min_size=1, max_size=5
    ),
    k=st.integers(1, 3),
)
def test_it_equals_the_mean_over_all_subsets(prompts: list[list[float]], k: int):
    maxima = [np.mean([max(chosen) for chosen in combinations(values, k)]) for values in prompts]
    reached = [np.mean([max(chosen) >= 0.5 for chosen in combinations(values, k)]) for values in prompts]
    found = worst_of(samples(*prompts), k)
    for estimate, expected in ((found.expected_maximum, maxima), (found.probability, reached)):
        slow = accuracy_interval(np.clip(expected, 0, 1))
        assert (estimate.value, estimate.n) == (pytest.approx(slow.value), len(prompts))


@pytest.mark.parametrize(
    ("scores", "k", "message"),
    [
        (
            samples([0.1, 0.2], [0.3]),
            2,
            r"scores: the worst of 2 needs 2 samples of every prompt \(found 1\). Generate more",
        ),
        (samples([0.1]), 0, "the worst of 0 needs 1 samples"),
        (samples([1.5]), 1, "a share needs values from 0 to 1"),
        (samples([0.1]).drop(columns=["value"]), 1, r"scores: columns are missing \(found \['value'\]\)"),
    ],
)
def test_scores_that_cannot_be_used_are_refused(scores: pd.DataFrame, k: int, message: str):
    with pytest.raises(DataError, match=message):
        worst_of(scores, k)
