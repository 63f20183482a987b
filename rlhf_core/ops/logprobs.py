"""Log-probabilities and entropy of tokens under temperature, without keeping a float32 copy of all logits."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

BLOCK = 256  # tokens
BELOW_ONE = 1 - 2**-50  # times a double, it is less than that double


def token_logprobs(
    logits: Float[Tensor, "*shape vocab"], tokens: Int[Tensor, "*shape"], temperature: float
) -> Float[Tensor, "*shape"]:
    """log softmax(logits / T) at `tokens`, in float32: z_a − logsumexp(z). Differentiable in `logits`."""
    return _GatherLogSoftmax.apply(logits, tokens, temperature)


class _GatherLogSoftmax(torch.autograd.Function):
    """The same as `log_softmax(z).gather(tokens)`, with one vocabulary-wide buffer in the backward pass instead of five."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, tokens: Tensor, temperature: float) -> Tensor:
        scaled = _scale(logits, temperature)
        normaliser = scaled.logsumexp(-1, keepdim=True)
        ctx.save_for_backward(logits, tokens, normaliser)
        ctx.temperature = temperature
        return (scaled.gather(-1, tokens.unsqueeze(-1)) - normaliser).squeeze(-1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        """∂ log p_a/∂ logits = (onehot(a) − softmax(z))/T."""
        logits, tokens, normaliser = ctx.saved_tensors
        upstream = grads[0].unsqueeze(-1) / ctx.temperature
        gradient = (_scale(logits, ctx.temperature) - normaliser).exp_().mul_(-upstream)
        gradient.scatter_add_(-1, tokens.unsqueeze(-1), upstream)
        return gradient.to(logits.dtype), None, None


def _scale(logits: Tensor, temperature: float) -> Tensor:
    logits = logits.float()
    return logits if temperature == 1 else logits / temperature


def token_entropy(logits: Float[Tensor, "*shape vocab"], temperature: float) -> Float[Tensor, "*shape"]:
    """Entropy of softmax(logits / T), in nats: logsumexp(z) − Σ p·z. Never negative but for rounding."""
    scaled = _scale(logits, temperature)
    return scaled.logsumexp(-1) - (scaled.softmax(-1) * scaled).sum(-1)


def sample_tokens(
    logits: Float[Tensor, "batch vocab"], temperature: float, top_p: float, uniform: Float[Tensor, "batch"]
) -> Int[Tensor, "batch"]:
    """Draw one token a row from softmax(logits / T), kept to the nucleus `top_p` (1 = all), by inverting the CDF at `uniform`.

    The numbers in [0, 1) come from the caller, one stream a row: the same numbers give common random numbers across policies.

    Raises:
        ValueError: the temperature is not positive (a greedy policy has no distribution to score).
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be > 0, found {temperature}: a greedy policy has no log-probabilities")
    probabilities = _scale(logits, temperature).softmax(-1)
    if top_p < 1:
        probabilities = _nucleus(probabilities, top_p)
    return _invert(probabilities, uniform.double())


def _invert(weights: Float[Tensor, "batch vocab"], uniform: Float[Tensor, "batch"]) -> Int[Tensor, "batch"]:
    """The first index where the running sum of the weights exceeds `uniform` of their total.

    Found in two steps, the block and the place in it: a running sum over a whole vocabulary is the slowest part of sampling.
    Each step asks for less than the total of its own sum, so it finds a place where that sum rises: the weight there is not 0.
    """
    blocks = functional.pad(weights, (0, -weights.shape[-1] % BLOCK)).unflatten(-1, (-1, BLOCK))
    block, rest = _first_above(blocks.sum(-1), uniform)
    chosen = blocks[torch.arange(len(blocks), device=blocks.device), block]
    return block * BLOCK + _first_above(chosen, rest)[0]


def _first_above(
    weights: Float[Tensor, "batch n"], uniform: Float[Tensor, "batch"]
) -> tuple[Int[Tensor, "batch"], Float[Tensor, "batch"]]:
    """The first index where the running sum exceeds `uniform` of the total, and how far into that weight, in [0, 1)."""
    sums = weights.double().cumsum(-1)
    wanted = uniform.unsqueeze(-1) * sums[:, -1:]
    place = torch.searchsorted(sums, wanted, right=True)
    before = sums.gather(-1, (place - 1).clamp(min=0)).where(place > 0, 0.0)
    inside = (wanted - before) / (sums.gather(-1, place) - before)
    return place.squeeze(-1), inside.clamp(0, BELOW_ONE).squeeze(-1)


def _nucleus(probabilities: Float[Tensor, "batch vocab"], top_p: float) -> Float[Tensor, "batch vocab"]:
    ordered, index = probabilities.sort(-1, descending=True)
    outside = ordered.cumsum(-1) - ordered >= top_p
    kept = ordered.masked_fill(outside, 0.0)
    return torch.zeros_like(probabilities).scatter(-1, index, kept)
