"""PPO's update: which gradient a minibatch gives, what bounds it, and which samples it uses."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rlhf_core.config import OptimConfig
from rlhf_core.training import ppo
from rlhf_core.training.ppo import FIRST_RATIO, Learner, Targets, iterate, prepare, step_minibatch, update
from rlhf_core.training.rollout import Rollout, Sampled, judge
from tests.engine import episodes, learner_on, make_stage, move, ppo_config, tiny_policy, vowels


def gradients(learner: Learner, rollout: Rollout, targets: Targets) -> tuple[list[torch.Tensor], dict[str, float]]:
    learner.optimizer.zero_grad()
    measured = step_minibatch(learner, rollout, targets, torch.arange(len(rollout.scores)))
    weights = [p for group in learner.optimizer.param_groups for p in group["params"]]
    return [p.grad.clone() for p in weights if p.grad is not None], {n: float(v) for n, v in measured.items()}


def real_rollout(learner: Learner) -> tuple[Rollout, Targets]:
    """Responses of 6, 2, 4 and 1 tokens, judged before the policy moved, so that ratios are not 1."""
    policy = learner.policy
    rows = episodes(policy)[:4]
    responses = [[70 + n] * length for n, length in enumerate((6, 2, 4, 1))]
    sampled = Sampled(responses, [policy.decode_response(r) for r in responses])
    rollout = judge(policy, learner.value_model, rows, sampled, vowels([], sampled.texts), learner.config)
    targets, _ = prepare(rollout, learner.config, 0.1)
    move(policy, 0.02)
    torch.nn.init.normal_(learner.value_model.head.weight, std=0.05)
    return rollout, targets


@pytest.mark.parametrize("value_network", ["shared", "separate"])
def test_accumulation_changes_no_gradient_and_no_metric(value_network: str, tmp_path: Path):
    """Claim 24: one pass of four rows against four passes of one, each without its padding."""
    config = ppo_config(minibatch_size=4, micro_batch_size=4, value_network=value_network)
    learner = learner_on(tiny_policy(), make_stage(tmp_path), config)
    rollout, targets = real_rollout(learner)
    whole, measured = gradients(learner, rollout, targets)
    parts, measured_in_parts = gradients(
        replace(learner, config=config.model_copy(update={"micro_batch_size": 1})), rollout, targets
    )
    assert any(g.abs().max() > 1e-3 for g in whole)
    for a, b in zip(whole, parts, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
    assert measured_in_parts == pytest.approx(measured, abs=1e-5, rel=1e-4)
    assert measured["policy/ratio"] != pytest.approx(1.0, abs=1e-4)


def test_garbage_under_the_mask_changes_no_gradient_and_no_metric(tmp_path: Path):
    """Claim 20: other ids in the padding, and nonsense in every number under the mask."""
    learner = learner_on(tiny_policy(), make_stage(tmp_path), ppo_config(minibatch_size=4, micro_batch_size=4))
    rollout, targets = real_rollout(learner)
    clean, measured = gradients(learner, rollout, targets)
    under = ~rollout.response_mask
    dirty = {
        name: getattr(rollout, name).masked_fill(under, math.nan)
        for name in ("logprobs", "reference", "values", "entropy")
    }
    dirty["responses"] = rollout.responses.masked_fill(under, 99)
    dirty["ids"] = rollout.ids.masked_fill(~rollout.mask, 99)
    spoilt = Targets(targets.advantages.masked_fill(under, math.nan), targets.returns.masked_fill(under, math.inf))
    garbage, measured_with_garbage = gradients(learner, replace(rollout, **dirty), spoilt)
    for a, b in zip(clean, garbage, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)
    assert measured_with_garbage == pytest.approx(measured, abs=1e-6)


def test_the_objective_is_of_response_tokens_alone(tmp_path: Path):
    """Claims 20 and 27: nonsense under the mask of 6, 2, 4 and 1 tokens changes no target and no mean."""
    learner = learner_on(tiny_policy(), make_stage(tmp_path), ppo_config(whiten_rewards=True, lam=0.9))
    rollout, _ = real_rollout(learner)
    under = ~rollout.response_mask
    dirty = {name: getattr(rollout, name).masked_fill(under, math.nan) for name in ("reference", "values", "entropy")}
    dirty |= {
        "logprobs": rollout.logprobs.masked_fill(under, 50.0),
        "responses": rollout.responses.masked_fill(under, 99),
    }
    clean, measured = prepare(rollout, learner.config, 0.1)
    spoilt, measured_with_garbage = prepare(replace(rollout, **dirty), learner.config, 0.1)
    assert measured_with_garbage == measured and measured["tokens/response_length"] == 13 / 4
    assert torch.equal(spoilt.advantages, clean.advantages) and torch.equal(spoilt.returns, clean.returns)
    returns, values, entropy = (x[rollout.response_mask] for x in (clean.returns, rollout.values, rollout.entropy))
    expected = {
        "returns/mean": returns.mean(),
        "returns/var": returns.var(unbiased=False),
        "val/error": (values - returns).square().mean(),
        "policy/entropy": entropy.mean(),
    }
    assert {name: measured[name] for name in expected} == pytest.approx({n: v.item() for n, v in expected.items()})


def test_gradients_are_clipped_and_the_norm_before_is_logged(tmp_path: Path):
    """Claim 25: far below Adam's ε a clipped gradient hardly moves a weight; the norm that is logged is the same."""
    norms, moved = [], []
    for n, limit in enumerate((100.0, 1e-8)):
        config = ppo_config(epochs=1, minibatch_size=4, optim=OptimConfig(lr=1e-3, max_grad_norm=limit))
        learner = learner_on(tiny_policy(), make_stage(tmp_path / str(n)), config)
        before = learner.value_model.head.weight.detach().clone()
        norms.append(iterate(learner, episodes(learner.policy)[:4], 0.1, 0, 1e-3)["optim/grad_norm"])
        moved.append((learner.value_model.head.weight - before).abs().max().item())
    assert norms[0] == norms[1] > 1e-3
    assert moved[1] < 1e-2 * moved[0]


def test_an_update_stops_when_the_policy_has_moved_too_far(tmp_path: Path):
    """Claim 28: three epochs of two minibatches, or one epoch when its last minibatch is past the target."""
    counts = []
    for target_kl in (None, 1e-9):
        learner = learner_on(tiny_policy(), make_stage(tmp_path), ppo_config(epochs=3, target_kl=target_kl, lam=0.9))
        iterate(learner, episodes(learner.policy)[:4], 0.1, 0, 1e-2)
        counts.append({int(state["step"]) for state in learner.optimizer.state.values()})
    assert counts == [{6}, {2}]


def test_each_sample_is_used_once_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Claim 24: over two epochs of minibatches of two, in two different orders."""
    seen: list[list[int]] = []

    def note(learner: Learner, rollout: Rollout, targets: Targets, rows: torch.Tensor) -> dict[str, float]:
        seen.append(rows.tolist())
        return {FIRST_RATIO: 0.0, "policy/approxkl": 0.0}

    monkeypatch.setattr(ppo, "step_minibatch", note)
    learner = learner_on(tiny_policy(), make_stage(tmp_path), ppo_config(batch_size=6, epochs=2))
    rollout, targets = real_rollout(learner)
    update(learner, replace(rollout, scores=torch.zeros(6)), targets, 0, 1e-3)
    epochs = [[n for part in seen[:3] for n in part], [n for part in seen[3:] for n in part]]
    assert all(sorted(order) == list(range(6)) for order in epochs) and epochs[0] != epochs[1]
