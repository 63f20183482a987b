"""Measure a policy on held-out prompts during PPO, with common random numbers, against the reference's own answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from rlhf_core.config import PPOConfig
from rlhf_core.evaluation.statistics import accuracy_interval
from rlhf_core.models.policy import Policy
from rlhf_core.models.sampling import SamplingConfig
from rlhf_core.models.scorers import Scorer
from rlhf_core.ops.logprobs import token_logprobs
from rlhf_core.ops.masking import spread
from rlhf_core.runs.directory import StageDirectory
from rlhf_core.training.rollout import Episode, Sampled, by_length, sample, unjudged
from rlhf_core.training.stage import Stage


@dataclass
class HeldOut:
    """Held-out prompts, the scorer, and the random numbers every measurement uses again."""

    episodes: Sequence[Episode]
    scorer: Scorer
    config: PPOConfig
    stage: Stage
    _reference_scores: Tensor | None = field(default=None, init=False)

    def measure(self, policy: Policy, directory: StageDirectory, step: int) -> None:
        """Log eval/score and eval/win_rate with its interval, and the completions with score and KL."""
        sampled = self._sample(policy)
        scores = self._scores(sampled)
        if step == 0:  # the policy still is the reference
            self._reference_scores = scores
        reference = self.reference_scores(policy)
        kl = self._kl(policy, sampled)
        directory.log(step, {"eval/score": scores.mean().item(), **win_rate_metrics(scores, reference)})
        directory.sample(
            [
                {"step": step, "prompt_id": e.id, "prompt": e.prompt, "text": text, "score": float(s), "kl": float(k)}
                for e, text, s, k in zip(self.episodes, sampled.texts, scores, kl, strict=True)
            ]
        )

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

    @torch.no_grad()
    def _kl(self, policy: Policy, sampled: Sampled) -> Tensor:
        rollout = unjudged(policy, self.episodes, sampled, torch.zeros(len(self.episodes)))
        kl = torch.zeros(len(self.episodes))
        for rows in by_length(rollout, self.config.micro_batch_size):
            part = rollout.rows(rows)
            given = (part.ids, part.mask, part.counts, policy.below(part.ids, part.mask))
            mine, theirs = (
                token_logprobs(policy.run(*given, reference=reference)[0], part.tokens, self.config.temperature)
                for reference in (False, True)
            )
            kl[rows] = spread(mine - theirs, part.response_mask).sum(1)
        return kl


def win_rate_metrics(scores: Tensor, reference: Tensor) -> dict[str, float]:
    """Return the share of prompts on which `scores` beat `reference` (ties ½), with a 95% t interval over prompts."""
    wins = (scores > reference).float() + 0.5 * (scores == reference).float()
    estimate = accuracy_interval(wins.numpy())
    return {"eval/win_rate": estimate.value, "eval/win_rate_low": estimate.low, "eval/win_rate_high": estimate.high}
