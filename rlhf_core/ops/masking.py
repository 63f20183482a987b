"""Means, variances and whitening over what a boolean mask lets through. True always means "counts"."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def masked_sum(values: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"], dim: int | None = None) -> Tensor:
    """Sum `values` where `mask` is True. Whatever stands under the mask, NaN included, has no effect."""
    kept = values.masked_fill(~mask, 0.0)
    return kept.sum() if dim is None else kept.sum(dim)


def masked_mean(values: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"], dim: int | None = None) -> Tensor:
    """Mean of `values` where `mask` is True: Σ m·v / Σ m. NaN where nothing counts."""
    count = mask.sum() if dim is None else mask.sum(dim)
    return masked_sum(values, mask, dim) / count


def spread(values: Float[Tensor, "tokens"], mask: Bool[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Put values, one for every True of `mask` in reading order, into the shape of the mask; 0 elsewhere."""
    return torch.zeros(mask.shape, dtype=values.dtype, device=values.device).masked_scatter(mask, values)


def masked_var(values: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"], *, unbiased: bool = False) -> Tensor:
    """Variance where `mask` is True; divides by n, or by n − 1 when `unbiased`."""
    n = mask.sum()
    centered = values - masked_mean(values, mask)
    variance = masked_mean(centered.square(), mask)
    return variance * n / (n - 1) if unbiased else variance


def masked_whiten(
    values: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"], *, keep_mean: bool, unbiased: bool = False
) -> Float[Tensor, "*shape"]:
    """Scale to unit variance: (v − mean)/√(var + 1e-8), plus the mean again when `keep_mean`. Zero under the mask.

    Rewards keep their mean, advantages lose it (Huang et al. 2024, arXiv 2403.17031, detail 17 and appendix).
    """
    mean = masked_mean(values, mask)
    white = (values - mean) * torch.rsqrt(masked_var(values, mask, unbiased=unbiased) + 1e-8)
    if keep_mean:
        white = white + mean
    return white.masked_fill(~mask, 0.0)
