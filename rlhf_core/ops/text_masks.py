"""Masks over token ids: what is a response, where it ends, which position each token has."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def response_mask(responses: Int[Tensor, "batch time"], eos_id: int) -> Bool[Tensor, "batch time"]:
    """True up to and including the first eos of each row; all True in a row without one."""
    is_eos = responses == eos_id
    eos_before = is_eos.cumsum(1) - is_eos.long()
    return eos_before == 0


def ends_with_eos(responses: Int[Tensor, "batch time"], eos_id: int) -> Bool[Tensor, "batch"]:
    """True for rows that hold an eos."""
    return (responses == eos_id).any(1)


def position_ids(mask: Bool[Tensor, "batch time"]) -> Int[Tensor, "batch time"]:
    """Count real tokens from 0: cumsum(mask) − 1, and 0 on padding before the first."""
    return (mask.long().cumsum(1) - 1).clamp_min(0)


def last_true(mask: Bool[Tensor, "batch time"]) -> Int[Tensor, "batch"]:
    """Index of the last True of each row."""
    steps = torch.arange(mask.shape[1], device=mask.device)
    return (steps * mask).argmax(1)


def to_front(
    ids: Int[Tensor, "batch time"], mask: Bool[Tensor, "batch time"]
) -> tuple[Int[Tensor, "batch kept"], Bool[Tensor, "batch kept"]]:
    """Return the ids where `mask` is True, in their order from the first column on, and where they are; as wide as the longest."""
    width = int(mask.sum(1).max())
    order = (~mask).long().argsort(dim=1, stable=True)[:, :width]
    return ids.gather(1, order), mask.gather(1, order)


def common_prefix(rows: Sequence[Sequence[int]]) -> int:
    """How many ids all rows begin with, the last id of no row among them."""
    first, last = min(map(tuple, rows)), max(map(tuple, rows))  # all others lie between them, and begin as both do
    limit = min(map(len, rows)) - 1
    return next((n for n in range(limit) if first[n] != last[n]), limit)


def pad_rows(
    rows: Sequence[Sequence[int]], pad_id: int, *, left: bool
) -> tuple[Int[Tensor, "batch time"], Bool[Tensor, "batch time"]]:
    """Stack rows of ids into one tensor, padded on the given side, with the mask of real tokens."""
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), pad_id, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.bool)
    for n, row in enumerate(rows):
        span = slice(width - len(row), width) if left else slice(0, len(row))
        ids[n, span] = torch.tensor(row, dtype=torch.long)
        mask[n, span] = True
    return ids, mask
