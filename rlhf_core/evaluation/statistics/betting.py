"""A confidence sequence for a mean by betting: intervals that all hold at once, however often one looks."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rlhf_core.evaluation.statistics.checks import Floats, shares
from rlhf_core.evaluation.statistics.estimates import LEVEL

GRID = 1000
BLOCK = 16_000
"""Steps times means that are worked on at once."""
FRACTIONS = np.array([0.4, 0.2, 0.1, 0.05])
"""The shares of their wealth that a bettor's purses stake: the large ones find large differences, the small small ones."""
LIMIT = 2 / (1 - LEVEL)
"""A bettor whose wealth passes 2/α has shown its mean wrong (Ville's inequality); two bettors share α."""


def confidence_sequence(scores: ArrayLike) -> tuple[Floats, Floats]:
    """Return the ends (n,) of the 95% interval for the mean after each of `scores` (n,), each from 0 to 1.

    With probability 95% every one of the n intervals holds. For each mean m of a grid two bettors start with 1, one
    betting that scores lie above m and one below; m is out for good once one of them owns 2/α. Each spreads its wealth
    over four purses, K⁺(m) = ¼ Σ_f Π_i (1 + f·(x_i − m)/m) and K⁻(m) = ¼ Σ_f Π_i (1 + f·(m − x_i)/(1−m)): were m the
    mean, no purse would be expected to grow. (Diversified Kelly betting: Waudby-Smith & Ramdas 2024, "Estimating means of
    bounded random variables by betting", arXiv 2010.09686, Section 5; the limit 2/α for a pair: Theorem 3 there.)
    The ends are the nearest grid points that are out, so a grid of 1/1000 makes an interval wider, never narrower.

    The scores have to come one by one, with the same mean given those before: one for each prompt, in random order.

    Raises:
        DataError: no scores, or some that are missing or outside 0…1.
    """
    x = shares(scores)
    low, high = np.zeros_like(x), np.ones_like(x)
    means, ends = np.arange(1, GRID) / GRID, (0.0, 1.0)
    purses = np.ones((2, len(means), len(FRACTIONS)))
    end = 0
    while end < len(x):
        start, end = end, end + BLOCK // len(means)
        block = slice(start, end)
        with np.errstate(over="ignore"):  # a wealth beyond all numbers is beyond the limit
            grown = purses[:, None] * growth(x[block, None], means).cumprod(axis=1)
        up, down = grown.mean(axis=-1)
        low[block] = np.maximum.accumulate(np.where(up >= LIMIT, means, ends[0]).max(axis=1))
        high[block] = np.minimum.accumulate(np.where(down >= LIMIT, means, ends[1]).min(axis=1))
        ends = float(low[block][-1]), float(high[block][-1])
        active = (means > ends[0]) & (means < ends[1])
        if not active.any():
            return _kept(low, high, end)
        means, purses = means[active], grown[:, -1, active]
    return low, high


def growth(x: Floats, mean: Floats | float) -> Floats:
    """Return by how much each step multiplies each purse: (2, …, purses) for x (…); the first bettor bets above."""
    gains = np.stack(np.broadcast_arrays(x / mean - 1, (1 - x) / (1 - mean) - 1))
    return 1 + gains[..., None] * FRACTIONS


def _kept(low: Floats, high: Floats, end: int) -> tuple[Floats, Floats]:
    """Keep the last interval that holds a mean, from where none is left before `end`: as rare as one that misses."""
    step = int(np.argmax(np.append(high[:end] - low[:end] < 1.5 / GRID, True)))
    low[step:], high[step:] = (low[step - 1], high[step - 1]) if step else (0.0, 1.0)
    return low, high
