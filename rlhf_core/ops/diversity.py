"""How varied a batch of responses is."""

from __future__ import annotations

import math

from jaxtyping import Bool, Int
from torch import Tensor


def distinct_n(ids: Int[Tensor, "batch response"], mask: Bool[Tensor, "batch response"], n: int) -> float:
    """Return the share of different n-grams among all n-grams of the batch: |{g}| / Σ 1.

    1 when none comes twice; it falls as texts repeat themselves or each other, and with the amount of text. NaN when no
    response has n tokens. Li et al. 2016 (arXiv 1510.03055), counted over the batch.

    Args:
        ids: token ids, right-padded.
        mask: True where a token counts.
        n: length of the n-grams, at least 1.
    """
    if ids.shape[1] < n:
        return math.nan
    grams = ids.unfold(1, n, 1)[mask.unfold(1, n, 1).all(-1)]
    return len(grams.unique(dim=0)) / len(grams) if len(grams) else math.nan
