"""Distinct n-grams."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlhf_core.ops.diversity import distinct_n
from rlhf_core.ops.text_masks import pad_rows


def test_distinct_bigrams_by_hand():
    """1 2 1 2 has 12, 21, 12; 1 2 3 has 12, 23: three different among five. 9s lie under the mask."""
    ids = torch.tensor([[1, 2, 1, 2], [1, 2, 3, 9]])
    mask = torch.tensor([[True, True, True, True], [True, True, True, False]])
    assert distinct_n(ids, mask, 2) == pytest.approx(3 / 5)
    assert distinct_n(ids, mask, 1) == pytest.approx(3 / 7)
    assert distinct_n(ids, mask, 3) == pytest.approx(3 / 3)  # 121, 212, 123


def test_too_little_text_has_no_diversity():
    assert math.isnan(distinct_n(torch.tensor([[1]]), torch.tensor([[True]]), 2))
    assert math.isnan(distinct_n(torch.tensor([[1, 2]]), torch.tensor([[True, False]]), 2))


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=4), st.integers(1, 3))
def test_distinct_n_equals_a_set_of_tuples(rows: list[list[int]], n: int):
    grams = [tuple(row[k : k + n]) for row in rows for k in range(len(row) - n + 1)]
    found = distinct_n(*pad_rows(rows, 7, left=False), n)
    assert found == pytest.approx(len(set(grams)) / len(grams)) if grams else math.isnan(found)
