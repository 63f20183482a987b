"""Batches of examples: padded one to a row, or packed several to a row."""

from __future__ import annotations

from rlhf_core.data.collate import Example, collate_packed, collate_padded

THREE = [Example([1, 2], [3]), Example([4], [5, 6]), Example([7], [8])]


def test_padded_rows_count_response_tokens_only():
    """Claim 7: prompt and padding are outside the loss."""
    batch = collate_padded([Example([1, 2, 3], [4]), Example([5], [6, 7])], 0)
    assert batch.ids.tolist() == [[1, 2, 3, 4], [5, 6, 7, 0]]
    assert batch.response_mask.tolist() == [[False, False, False, True], [False, True, True, False]]
    assert batch.attention.tolist() == [[True] * 4, [True, True, True, False]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3], [0, 1, 2, 2]]


def test_packed_rows_restart_positions_and_keep_their_responses():
    """Claim 7: three examples of 3, 3 and 2 tokens in rows of 6."""
    batch = collate_packed(THREE, 0, 6)
    assert batch.ids.tolist() == [[1, 2, 3, 4, 5, 6], [7, 8, 0, 0, 0, 0]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 0, 1, 2], [0, 1, 0, 0, 0, 0]]
    assert batch.response_mask.int().tolist() == [[0, 0, 1, 0, 1, 1], [0, 1, 0, 0, 0, 0]]


def test_packed_attention_is_causal_and_stays_inside_its_example():
    """Claim 7: two causal blocks in row 0; nothing of row 1's example sees its padding."""
    batch = collate_packed(THREE, 0, 6)
    assert batch.attention.shape == (2, 1, 6, 6)
    assert batch.attention[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [0, 0, 0, 1, 0, 0],
        [0, 0, 0, 1, 1, 0],
        [0, 0, 0, 1, 1, 1],
    ]
    assert batch.attention[1, 0, :2].int().tolist() == [[1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0]]
    assert batch.attention.any(-1).all()  # a query that may see nothing would make its softmax NaN


def test_an_example_that_fills_its_row_exactly_closes_it():
    batch = collate_packed(THREE, 0, 3)
    assert batch.ids.tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 0]]


CONVERSATION = Example([1, 2, 3, 4, 5], [6, 7], [False, True, True, False, False])  # replies: 2 3 and 6 7


def test_tokens_of_earlier_replies_count_where_they_are_marked():
    batch = collate_padded([CONVERSATION, THREE[0]], 0)
    assert batch.ids.tolist() == [[1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 0, 0, 0, 0]]
    assert batch.response_mask.int().tolist() == [[0, 1, 1, 0, 0, 1, 1], [0, 0, 1, 0, 0, 0, 0]]


def test_packing_counts_the_same_tokens_as_padding():
    rows = [THREE[0], CONVERSATION, THREE[1]]
    packed = collate_packed(rows, 0, 10)
    assert packed.response_mask.int().tolist() == [[0, 0, 1, 0, 1, 1, 0, 0, 1, 1], [0, 1, 1, 0, 0, 0, 0, 0, 0, 0]]
    padded = collate_padded(rows, 0)
    assert packed.ids[packed.response_mask].tolist() == padded.ids[padded.response_mask].tolist()
