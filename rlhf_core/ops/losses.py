"""Losses: cross-entropy over responses, pairwise and K-wise preference losses, the clipped PPO losses."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid

from rlhf_core.ops.masking import masked_mean, masked_var


def response_nll(
    logprobs: Float[Tensor, "batch time"], mask: Bool[Tensor, "batch time"]
) -> tuple[Float[Tensor, ""], Int[Tensor, ""]]:
    """Return (Σ −log p over response tokens, their number): sums, so that accumulation over micro-batches is exact."""
    return -logprobs.masked_fill(~mask, 0.0).sum(), mask.sum()


def pairwise_loss(
    chosen: Float[Tensor, "pairs"],
    rejected: Float[Tensor, "pairs"],
    margin: float = 0.0,
    label_smoothing: float = 0.0,
) -> Float[Tensor, "pairs"]:
    """−(1 − s)·logσ(r_c − r_r − m) − s·logσ(r_r − r_c + m), per pair.

    Bradley–Terry; margin as in Llama 2 (arXiv 2307.09288), equation 2; smoothing s as in cDPO.
    """
    difference = chosen - rejected - margin
    return -(1 - label_smoothing) * logsigmoid(difference) - label_smoothing * logsigmoid(-difference)


def centering_loss(chosen: Float[Tensor, "pairs"], rejected: Float[Tensor, "pairs"]) -> Float[Tensor, "pairs"]:
    """(r_c + r_r)², per pair: keeps scores around zero. Eisenstein et al. 2023 (arXiv 2312.09244)."""
    return (chosen + rejected).square()


def kwise_loss(
    scores: Float[Tensor, "completions"],
    chosen: Int[Tensor, "pairs"],
    rejected: Int[Tensor, "pairs"],
    prompt_of_pair: Int[Tensor, "pairs"],
    margin: float = 0.0,
    label_smoothing: float = 0.0,
    centering: float = 0.0,
    weights: Float[Tensor, "prompts"] | None = None,
) -> Float[Tensor, ""]:
    """Mean over prompts of w_p times the mean pairwise loss over each prompt's pairs.

    `weights` are by the numbers in `prompt_of_pair`, 1 unless given: how sure people are of a prompt's order.

    All C(K, 2) untied pairs of a ranked prompt share one forward pass: `chosen` and `rejected` index into `scores`.
    Without any pair the loss is 0. InstructGPT (arXiv 2203.02155), equation 1.
    """
    c, r = scores[chosen], scores[rejected]
    losses = pairwise_loss(c, r, margin, label_smoothing) + centering * centering_loss(c, r)
    prompts, inverse, counts = prompt_of_pair.unique(return_inverse=True, return_counts=True)
    if weights is not None:
        losses = losses * weights[prompt_of_pair]
    return (losses / counts[inverse]).sum() / max(1, len(prompts))


def ppo_policy_loss(
    new: Float[Tensor, "batch time"],
    old: Float[Tensor, "batch time"],
    advantages: Float[Tensor, "batch time"],
    mask: Bool[Tensor, "batch time"],
    clip_range: float,
) -> Float[Tensor, "batch time"]:
    """max(−A·ρ, −A·clip(ρ, 1 ± ε)) per token, with ρ = exp(new − old); zero under the mask.

    Schulman et al. 2017 (arXiv 1707.06347), equation 7, as a loss.
    """
    ratio = (new - old).masked_fill(~mask, 0.0).exp()
    advantages = advantages.masked_fill(~mask, 0.0)
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
    return torch.maximum(-advantages * ratio, -advantages * clipped)


def ppo_value_loss(
    new: Float[Tensor, "batch time"],
    old: Float[Tensor, "batch time"],
    returns: Float[Tensor, "batch time"],
    mask: Bool[Tensor, "batch time"],
    clip_range: float,
) -> Float[Tensor, "batch time"]:
    """½·max((V − R)², (clip(V, V_old ± ε) − R)²) per token; zero under the mask.

    openai/baselines ppo2; Huang et al. 2024 (arXiv 2403.17031).
    """
    new, old, returns = (x.masked_fill(~mask, 0.0) for x in (new, old, returns))
    clipped = torch.clamp(new, min=old - clip_range, max=old + clip_range)
    return torch.maximum((new - returns).square(), (clipped - returns).square()) / 2


def clip_fraction(
    new: Float[Tensor, "batch time"],
    old: Float[Tensor, "batch time"],
    mask: Bool[Tensor, "batch time"],
    clip_range: float,
) -> Float[Tensor, ""]:
    """Share of response tokens whose ratio left [1 − ε, 1 + ε]."""
    ratio = (new - old).masked_fill(~mask, 0.0).exp()
    return masked_mean(((ratio - 1).abs() > clip_range).float(), mask)


def explained_variance(
    values: Float[Tensor, "batch time"], returns: Float[Tensor, "batch time"], mask: Bool[Tensor, "batch time"]
) -> Float[Tensor, ""]:
    """1 − Var(R − V)/Var(R) over what counts; NaN when the returns do not vary."""
    variance = masked_var(returns, mask)
    explained = 1 - masked_var(returns - values, mask) / variance
    return torch.where(variance > 0, explained, torch.full_like(explained, float("nan")))
