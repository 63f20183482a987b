"""Turn tokenised examples into batches: padded, or packed several to a row. The only file of `data` that knows torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from rlhf_core.ops.text_masks import pad_rows, position_ids


@dataclass(frozen=True)
class Example:
    """Token ids of one prompt (chat format included) and its response (eos included).

    `earlier_replies` is True on the prompt's tokens that the loss counts as well; None counts none of them.
    """

    prompt: list[int]
    response: list[int]
    earlier_replies: list[bool] | None = None

    @property
    def ids(self) -> list[int]:
        """Prompt and response."""
        return self.prompt + self.response

    @property
    def counted(self) -> list[bool]:
        """True on the tokens the loss counts, in the order of `ids`."""
        return (self.earlier_replies or [False] * len(self.prompt)) + [True] * len(self.response)


@dataclass(frozen=True)
class Batch:
    """Inputs of one forward pass. `response_mask` is True on the tokens the loss counts: those of responses."""

    ids: Int[Tensor, "batch time"]
    response_mask: Bool[Tensor, "batch time"]
    position_ids: Int[Tensor, "batch time"]
    attention: Bool[Tensor, "batch ..."]
    """(batch, time) for padded rows; (batch, 1, time, time) with isolated blocks for packed rows."""

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return Batch(*(getattr(self, field.name).to(device) for field in fields(self)))


def collate_padded(examples: Sequence[Example], pad_id: int) -> Batch:
    """Put one example in a row, padded on the right."""
    ids, mask = pad_rows([e.ids for e in examples], pad_id, left=False)
    counted, _ = pad_rows([e.counted for e in examples], 0, left=False)
    return Batch(ids, counted.bool(), position_ids(mask), mask)


def collate_packed(examples: Sequence[Example], pad_id: int, width: int) -> Batch:
    """Put as many examples in a row of `width` tokens as fit, first come first served.

    Positions restart with each example, and attention stays inside it, so losses equal those of separate rows.
    """
    rows: list[list[Example]] = []
    for example in examples:
        if not rows or sum(len(e.ids) for e in rows[-1]) + len(example.ids) > width:
            rows.append([])
        rows[-1].append(example)
    ids, _ = pad_rows([[t for e in row for t in e.ids] for row in rows], pad_id, left=False)
    counted, _ = pad_rows([[t for e in row for t in e.counted] for row in rows], 0, left=False)
    owner = torch.full(ids.shape, -1)
    positions = torch.zeros_like(ids)
    for n, row in enumerate(rows):
        start = 0
        for k, example in enumerate(row):
            size = len(example.ids)
            owner[n, start : start + size] = k
            positions[n, start : start + size] = torch.arange(size)
            start += size
    same = owner.unsqueeze(2) == owner.unsqueeze(1)
    causal = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril()
    return Batch(ids, counted.bool(), positions, (same & causal).unsqueeze(1))
