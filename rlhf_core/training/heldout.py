"""Measure a policy on held-out prompts during PPO, with common random numbers, against the reference's own answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from rlhf_core.config import PPOConfig
from rlhf_core.evaluation.statistics import accuracy_interval
from rlhf_core.models.policy import Policy
from rlhf_core.models.sampling import SamplingConfig
from rlhf_core.models.scorers import Scorer
from rlhf_core.ops.diversity import distinct_n
from rlhf_core.ops.kl import kl_k1
from rlhf_core.ops.logprobs import token_logprobs
from rlhf_core.ops.masking import masked_mean, masked_sum
from rlhf_core.runs.directory import StageDirectory
from rlhf_core.training.rollout import Episode, Rollout, Sampled, by_length, sample, unjudged
from rlhf_core.training.stage import Stage

TIE = 1e-5
"""In SD of the reference's scores: less than any two answers differ by, more than rounding does."""


@dataclass
class HeldOut:
    """Held-out prompts, the scorer, and the random numbers every measurement uses again.

    `audits` are scorers by name that training never optimises: what they say is measured beside the score.
    """

    episodes: Sequence[Episode]
    scorer: Scorer
    config: PPOConfig
    stage: Stage
    audits: Mapping[str, Scorer] = field(default_factory=dict)
    _reference_scores: Tensor | None = field(default=None, init=False)

    def measure(self, policy: Policy, directory: StageDirectory, step: int) -> float:
        """Log eval/score, its win rate, and what the score is not; keep the completions. Return eval/score."""
        sampled = self._sample(policy)
        scores = self._scores(sampled)
        if step == 0:  # the policy still is the reference
            self._reference_scores = scores
        reference = self.reference_scores(policy)
        rollout = self._judged(policy, sampled)
        kl = masked_sum(kl_k1(rollout.logprobs, rollout.reference), rollout.response_mask, 1)
        metrics = {"eval/score": scores.mean().item(), **win_rate_metrics(scores, reference)}
        directory.log(step, metrics | drift_metrics(rollout) | self._audited(sampled))
        directory.sample(
            [
                {"step": step, "prompt_id": e.id, "prompt": e.prompt, "text": text, "score": float(s), "kl": float(k)}
                for e, text, s, k in zip(self.episodes, sampled.texts, scores, kl, strict=True)
            ]
        )
        return metrics["eval/score"]

    def reference_scores(self, policy: Policy) -> Tensor:
        """Return the scores of the reference's answers to the same prompts and random numbers; computed once."""
        if self._reference_scores is None:
            with policy.reference() as lm:
                self._reference_scores = self._scores(self._sample(policy, lm))
        return self._reference_scores

    def _sample(self, policy: Policy, lm: object | None = None) -> Sampled:
        settings = SamplingConfig(self.config.response_length, self.config.temperature)
        return sample(policy, self.episodes, settings, self.stage.generator("held-out"), lm)

    def _scores(self, sampled: Sampled) -> Tensor:
        return self.scorer([e.prompt for e in self.episodes], sampled.texts)

    def _audited(self, sampled: Sampled) -> dict[str, float]:
        prompts = [e.prompt for e in self.episodes]
        return {
            f"eval/audit_{name}": float(audit(prompts, sampled.texts).mean()) for name, audit in self.audits.items()
        }

    @torch.no_grad()
    def _judged(self, policy: Policy, sampled: Sampled) -> Rollout:
        """Return the rollout of sampled responses with the log-probabilities of policy and reference filled in."""
        rollout = unjudged(policy, self.episodes, sampled, torch.zeros(len(self.episodes)))
        for rows in by_length(rollout, self.config.micro_batch_size):
            part = rollout.rows(rows)
            below = policy.below(part.ids, part.mask, part.prefix)
            given = (part.ids, part.mask, part.counts, below, part.prefix)
            for name, reference in (("logprobs", False), ("reference", True)):
                logits, _ = policy.run(*given, reference=reference)
                rollout.fill(name, rows, token_logprobs(logits, part.tokens, self.config.temperature))
        return rollout


def win_rate_metrics(scores: Tensor, reference: Tensor) -> dict[str, float]:
    """Return the share of prompts on which `scores` beat `reference` (ties ½), with a 95% interval over prompts.

    The same answer, read in another batch, may score a rounding more or less: that is a tie.
    """
    difference = scores - reference
    wins = torch.where(difference.abs() <= TIE, 0.5, (difference > 0).float())
    estimate = accuracy_interval(wins.numpy())
    return {"eval/win_rate": estimate.value, "eval/win_rate_low": estimate.low, "eval/win_rate_high": estimate.high}


def drift_metrics(rollout: Rollout) -> dict[str, float]:
    """Return how far judged responses are from the reference, and what is known to give way when a score is overdone.

    eval/kl = mean_i Σ_t (log π − log π_ref); eval/perplexity_ref = exp(−Σ log π_ref / Σ 1) over all response tokens;
    mean length in tokens; share of different bigrams.
    """
    mask = rollout.response_mask
    return {
        "eval/kl": masked_sum(kl_k1(rollout.logprobs, rollout.reference), mask, 1).mean().item(),
        "eval/response_length": mask.sum(1).float().mean().item(),
        "eval/distinct_2": distinct_n(rollout.responses, mask, 2),
        "eval/perplexity_ref": masked_mean(-rollout.reference, mask).exp().item(),
    }
