"""Masks over token ids: where a response ends, positions, padding."""

from __future__ import annotations

import pytest
import torch

from rlhf_core.ops.text_masks import (
    common_prefix,
    ends_with_eos,
    last_true,
    pad_rows,
    position_ids,
    response_mask,
    to_front,
)

EOS, PAD = 9, 0


def test_what_a_mask_chooses_goes_to_the_front_in_its_order():
    """Claim 2: padding on the left, in the middle and on the right goes behind; as wide as the longest row."""
    ids = torch.tensor([[7, 7, 1, 2, 3], [4, 7, 5, 7, 7], [7, 7, 7, 7, 6]])
    found, mask = to_front(ids, ids != 7)
    assert mask.tolist() == [[True, True, True], [True, True, False], [True, False, False]]
    assert [row[real].tolist() for row, real in zip(found, mask, strict=True)] == [[1, 2, 3], [4, 5], [6]]


def test_the_first_eos_counts_and_nothing_after_it_does():
    """Claim 1: the eos a policy emits is part of the response."""
    responses = torch.tensor([[5, 9, 0, 0], [5, 6, 7, 8], [9, 9, 9, 0], [5, 9, 6, 9]])
    assert response_mask(responses, EOS).tolist() == [
        [True, True, False, False],
        [True, True, True, True],
        [True, False, False, False],
        [True, True, False, False],
    ]
    assert ends_with_eos(responses, EOS).tolist() == [True, False, True, True]


def test_positions_count_real_tokens_from_zero():
    """Claim 2: cumsum(mask) − 1, with padding on either side."""
    mask = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 0, 0]], dtype=torch.bool)
    assert position_ids(mask).tolist() == [[0, 0, 0, 1, 2], [0, 1, 2, 2, 2]]


def test_last_true_is_the_last_real_token_on_either_side():
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]], dtype=torch.bool)
    assert last_true(mask).tolist() == [3, 1, 3, 0]


def test_rows_are_padded_on_the_side_asked_for():
    ids, mask = pad_rows([[1, 2, 3], [4]], PAD, left=True)
    assert ids.tolist() == [[1, 2, 3], [0, 0, 4]]
    assert mask.tolist() == [[True, True, True], [False, False, True]]
    ids, mask = pad_rows([[1, 2, 3], [4]], PAD, left=False)
    assert ids.tolist() == [[1, 2, 3], [4, 0, 0]]
    assert mask.tolist() == [[True, True, True], [True, False, False]]


def test_a_token_equal_to_the_pad_still_counts_when_it_is_real():
    _, mask = pad_rows([[PAD, PAD, 3], [4]], PAD, left=True)
    assert mask[0].tolist() == [True, True, True]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[1, 2, 3], [1, 2, 4], [1, 2, 3, 5]], 2),
        ([[1, 2], [1, 2, 3]], 1),  # one token is left of the shortest
        ([[1, 2, 3], [1, 2, 3]], 2),
        ([[1, 2, 3]], 2),
        ([[1, 2], [3, 2]], 0),
        ([[1], [1, 2]], 0),
    ],
)
def test_what_all_rows_begin_with_leaves_a_token_of_each(rows: list[list[int]], expected: int):
    assert common_prefix(rows) == expected
