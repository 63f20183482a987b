"""Turn tokenised examples into batches: padded, or packed several to a row. The only file of `data` that knows torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from rlhf_core.ops.text_masks import pad_rows, position_ids


@dataclass(frozen=True)
class Example:
    """Token ids of one prompt (chat format included) and its response (eos included)."""

    prompt: list[int]
    response: list[int]


@dataclass(frozen=True)
class Batch:
    """Inputs of one forward pass. `response_mask` is True on response tokens, the ones the loss counts."""

    ids: Int[Tensor, "batch time"]
    response_mask: Bool[Tensor, "batch time"]
    position_ids: Int[Tensor, "batch time"]
    attention: Bool[Tensor, "batch ..."]
    """(batch, time) for padded rows; (batch, 1, time, time) with isolated blocks for packed rows."""


def collate_padded(examples: Sequence[Example], pad_id: int) -> Batch:
    """Put one example in a row, padded on the right."""
    ids, mask = pad_rows([e.prompt + e.response for e in examples], pad_id, left=False)
    steps = torch.arange(ids.shape[1])
    prompt_length = torch.tensor([[len(e.prompt)] for e in examples])
    return Batch(ids, mask & (steps >= prompt_length), position_ids(mask), mask)


def collate_packed(examples: Sequence[Example], pad_id: int, width: int) -> Batch:
    """Put as many examples in a row of `width` tokens as fit, first come first served.

    Positions restart with each example, and attention stays inside it, so losses equal those of separate rows.
    """
    rows: list[list[Example]] = []
    for example in examples:
        size = len(example.prompt) + len(example.response)
        if not rows or sum(len(e.prompt) + len(e.response) for e in rows[-1]) + size > width:
            rows.append([])
        rows[-1].append(example)
    ids, mask = pad_rows([[t for e in row for t in e.prompt + e.response] for row in rows], pad_id, left=False)
    owner = torch.full(ids.shape, -1)
    positions, response_mask = torch.zeros_like(ids), torch.zeros_like(mask)
    for n, row in enumerate(rows):
        start = 0
        for k, example in enumerate(row):
            size = len(example.prompt) + len(example.response)
            owner[n, start : start + size] = k
            positions[n, start : start + size] = torch.arange(size)
            response_mask[n, start + len(example.prompt) : start + size] = True
            start += size
    same = owner.unsqueeze(2) == owner.unsqueeze(1)
    causal = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril()
    return Batch(ids, response_mask, positions, (same & causal).unsqueeze(1))
