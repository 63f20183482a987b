"""One score out of several reward models, and how far they are apart (Coste et al. 2023, arXiv 2310.02743)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def ensemble_mean(scores: Float[Tensor, "members batch"]) -> Float[Tensor, "batch"]:
    """Mean over members, per response."""
    return scores.mean(0)


def ensemble_worst(scores: Float[Tensor, "members batch"]) -> Float[Tensor, "batch"]:
    """min over members, per response: no member may be fooled (worst-case optimisation, equation 3)."""
    return scores.amin(0)


def ensemble_penalised(scores: Float[Tensor, "members batch"], penalty: float) -> Float[Tensor, "batch"]:
    """mean − λ·variance over members, per response, with the variance divided by K (uncertainty-weighted, equation 4)."""
    return scores.mean(0) - penalty * scores.var(0, unbiased=False)


def ensemble_disagreement(scores: Float[Tensor, "members batch"]) -> Float[Tensor, "batch"]:
    """Standard deviation over members, per response: √(Σ (r_i − mean)²/K)."""
    return scores.std(0, unbiased=False)
