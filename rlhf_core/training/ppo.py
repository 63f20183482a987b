"""PPO with a KL price to the reference, on a learned reward.

Ziegler et al. 2019 (arXiv 1909.08593); Stiennon et al. 2020; Huang et al. 2024 (arXiv 2403.17031).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from rlhf_core.config import PPOConfig
from rlhf_core.errors import CheckpointError
from rlhf_core.models.policy import Policy, ValueModel
from rlhf_core.models.sampling import SamplingConfig
from rlhf_core.models.scorers import Scorer, score_with_parts
from rlhf_core.ops import advantages as adv
from rlhf_core.ops.diversity import distinct_n
from rlhf_core.ops.kl import adapt_kl_coef, kl_k1, kl_k2
from rlhf_core.ops.logprobs import token_logprobs
from rlhf_core.ops.losses import clip_fraction, explained_variance, ppo_policy_loss, ppo_value_loss
from rlhf_core.ops.masking import masked_mean, masked_sum, masked_var, masked_whiten, spread
from rlhf_core.runs.outcome import write_outcome
from rlhf_core.training.checkpoint import load_checkpoint, restore_trainable, save_checkpoint, trainable_state
from rlhf_core.training.guards import GuardState, conclude, model_step, must_save, watch_batch, watch_score
from rlhf_core.training.heldout import HeldOut
from rlhf_core.training.optim import adamw, learning_rate, step_optimizer
from rlhf_core.training.rollout import Episode, Rollout, judge, minibatches, sample
from rlhf_core.training.stage import Stage

FIRST_RATIO = "policy/first_ratio_error"


@dataclass(frozen=True)
class Targets:
    """What one update regresses on, per response token: whitened advantages, and returns from unwhitened ones."""

    advantages: Tensor
    returns: Tensor


@dataclass(frozen=True)
class Learner:
    """Everything an update touches: the networks that learn, their optimiser, who scores, and the settings."""

    policy: Policy
    value_model: ValueModel
    optimizer: torch.optim.Optimizer
    scorer: Scorer
    config: PPOConfig
    stage: Stage


def train_ppo(
    policy: Policy, scorer: Scorer, train: Sequence[Episode], held_out: HeldOut, config: PPOConfig, stage: Stage
) -> None:
    """Tune `policy` against `scorer`; resumes from the stage's newest checkpoint and leaves `outcome.json`.

    One iteration: sample a batch, score it, price the KL, estimate advantages, `epochs` passes of clipped updates. Ends
    after the last iteration or when a guard says so; the policy is then left at the state the guards keep.
    """
    value_model = ValueModel(policy, separate=config.value_network == "separate")
    parameters = [*policy.trainable().values(), *(p for p in value_model.parameters() if p.requires_grad)]
    learner = Learner(policy, value_model, adamw(parameters, config.optim), scorer, config, stage)
    total = min(config.iterations, config.max_steps)
    fingerprint = f"{policy.fingerprint}:{stage.inputs}"
    step, kl_coef, guard = restore(learner, fingerprint, total)
    if step == 0:
        if must_save(guard, 0, config.guards):
            save(learner, 0, fingerprint, kl_coef, guard)
        guard = watch_score(guard, 0, held_out.measure(policy, stage.directory, 0), config.guards)
    with stage.stop.after_step():
        while step < total and not guard.reason:
            episodes = episodes_at(train, step, config.batch_size, stage)
            metrics = iterate(learner, episodes, kl_coef, step, learning_rate(step, total, config.optim))
            step += 1
            if config.kl_target:
                kl_coef = adapt_kl_coef(
                    kl_coef, metrics["objective/kl"], config.kl_target, config.batch_size, config.kl_horizon
                )
            metrics |= {"progress/step": step, "progress/episodes": step * config.batch_size}
            guard, alarms = watch_batch(guard, metrics, config.guards)
            stage.directory.log(step, metrics | alarms)
            if guard.condemned:
                go_back(learner, model_step(guard, step, config.guards), fingerprint)
            if step % config.eval_every == 0 or step == total or guard.reason:
                guard = watch_score(guard, step, held_out.measure(policy, stage.directory, step), config.guards)
            stopping = stage.stop.asked  # a wish from here on is for the next step
            due = step % config.checkpoint_every == 0 or step == total
            if stopping or due or must_save(guard, step, config.guards):
                save(learner, step, fingerprint, kl_coef, guard)
            drift = f", KL {metrics['objective/kl']:.1f} nats" if config.runs_reference else ""
            stage.report(step, total, f"score {metrics['objective/scores']:+z.2f}{drift}")
            if stopping:
                break
    finish(learner, step, total, fingerprint, guard)


def save(learner: Learner, step: int, fingerprint: str, kl_coef: float, guard: GuardState) -> None:
    """Write a checkpoint of everything the next iteration depends on, and spare the one that would be the model."""
    state = {
        "parameters": trainable_state(learner.policy, learner.value_model),
        "optimizer": learner.optimizer.state_dict(),
        "kl_coef": kl_coef,
        "guards": asdict(guard),
    }
    spared = [model_step(guard, step, learner.config.guards)]
    save_checkpoint(learner.stage.directory.checkpoints, step, fingerprint, state, spared)


def finish(learner: Learner, step: int, total: int, fingerprint: str, guard: GuardState) -> None:
    """Leave the policy at the state the guards keep; write and say how the run ended."""
    config, stage = learner.config, learner.stage
    limit = "max_steps is reached" if total < config.iterations else f"all {total} iterations are done"
    outcome = conclude(guard, step, config.guards, limit)
    if outcome.kept != step:
        go_back(learner, outcome.kept, fingerprint)
    write_outcome(stage.path, outcome)
    if outcome.early:
        stage.report(step, step, outcome.sentence)


def go_back(learner: Learner, step: int, fingerprint: str) -> None:
    """Set the policy to what it was after `step` iterations.

    Raises:
        CheckpointError: the checkpoint of that step is gone or torn.
    """
    folder = learner.stage.directory.checkpoints
    found = load_checkpoint(folder, fingerprint, step)
    if found is None:
        raise CheckpointError(
            "the state that should become the model is not there any more",
            where=folder,
            value=step,
            remedy="Move the stage's folder away and run it again",
        )
    restore_trainable(found[1]["parameters"][:1], learner.policy)


def restore(learner: Learner, fingerprint: str, total: int) -> tuple[int, float, GuardState]:
    """Bring back the newest checkpoint, if any; return (iterations done, β, what the guards remember)."""
    stage, step, kl_coef, guard = learner.stage, 0, learner.config.kl_coef, GuardState()
    if found := load_checkpoint(stage.directory.checkpoints, fingerprint):
        step, state = found
        restore_trainable(state["parameters"], learner.policy, learner.value_model)
        learner.optimizer.load_state_dict(state["optimizer"])
        kl_coef, guard = state["kl_coef"], GuardState(**state["guards"])
        stage.report(step, total, f"resumed at iteration {step}")
    stage.directory.rewind(step or -1)  # without a checkpoint, step 0 is logged again
    return step, kl_coef, guard


def iterate(learner: Learner, episodes: Sequence[Episode], kl_coef: float, step: int, rate: float) -> dict[str, float]:
    """Run one PPO iteration and return its metrics."""
    config, policy = learner.config, learner.policy
    started = time.perf_counter()
    settings = SamplingConfig(config.response_length, config.temperature)
    sampled = sample(policy, episodes, settings, learner.stage.generator("rollout", step))
    rolled = time.perf_counter()
    scores, parts = score_with_parts(learner.scorer, [e.prompt for e in episodes], sampled.texts)
    rollout = judge(policy, learner.value_model, episodes, sampled, scores, config)
    targets, metrics = prepare(rollout, config, kl_coef)
    judged = time.perf_counter()
    metrics |= parts | update(learner, rollout, targets, step, rate)
    times = (rolled - started, judged - rolled, time.perf_counter() - judged)
    return metrics | dict(zip(("time/rollout", "time/score", "time/update"), times, strict=True))


def prepare(rollout: Rollout, config: PPOConfig, kl_coef: float) -> tuple[Targets, dict[str, float]]:
    """Turn scores and KL into advantages and returns; report the objective of the batch, a KL nobody measured as NaN."""
    mask = rollout.response_mask
    scores = adv.penalise_missing_eos(
        rollout.scores, rollout.finished, config.missing_eos_penalty, config.missing_eos_mode
    )
    kl = kl_k1(rollout.logprobs, rollout.reference)
    rewards = adv.shape_rewards(scores, kl, mask, kl_coef)
    total = masked_sum(rewards, mask, 1)
    if config.whiten_rewards:
        rewards = masked_whiten(rewards, mask, keep_mean=True)
    advantages, returns = adv.gae(rewards, rollout.values, mask, config.gamma, config.lam)
    metrics = {
        "objective/kl": masked_sum(kl, mask, 1).mean() if config.runs_reference else torch.tensor(math.nan),
        "objective/kl_coef": torch.tensor(kl_coef),
        "objective/entropy": -masked_sum(rollout.logprobs, mask, 1).mean(),
        "objective/scores": scores.mean(),
        "objective/non_score_reward": (total - scores).mean(),
        "objective/rlhf_reward": total.mean(),
        "policy/entropy": masked_mean(rollout.entropy, mask),
        "returns/mean": masked_mean(returns, mask),
        "returns/var": masked_var(returns, mask),
        "val/error": masked_mean((rollout.values - returns).square(), mask),
        "val/explained_variance": explained_variance(rollout.values, returns, mask),
        "tokens/batch": rollout.mask.sum(),
        "tokens/response_length": mask.sum(1).float().mean(),
        "tokens/eos_frac": rollout.finished.float().mean(),
        "tokens/distinct_2": torch.tensor(distinct_n(rollout.responses, mask, 2)),
    }
    targets = Targets(masked_whiten(advantages, mask, keep_mean=False), returns)
    return targets, {name: float(value) for name, value in metrics.items()}


def update(learner: Learner, rollout: Rollout, targets: Targets, step: int, rate: float) -> dict[str, float]:
    """Run the clipped updates over the batch; stop early when policy/approxkl passes `target_kl`. Return their metrics."""
    config = learner.config
    seen: list[dict[str, Tensor]] = []
    for epoch in range(config.epochs):
        for rows in minibatches(rollout, config.minibatch_size, learner.stage.generator("minibatch", step, epoch)):
            seen.append(step_minibatch(learner, rollout, targets, rows))
            seen[-1]["optim/grad_norm"] = step_optimizer(learner.optimizer, rate, config.optim.max_grad_norm).double()
        if config.target_kl and seen[-1]["policy/approxkl"] > config.target_kl:
            break
    means = {name: float(sum(row[name] for row in seen)) / len(seen) for name in seen[0]}
    return means | {FIRST_RATIO: float(seen[0][FIRST_RATIO]), "optim/lr": rate}


def step_minibatch(learner: Learner, rollout: Rollout, targets: Targets, rows: Tensor) -> dict[str, Tensor]:
    """Backpropagate one minibatch, micro-batch by micro-batch; return its metrics, on the device: nothing here waits for it.

    Every sum is divided by the token count of the whole minibatch, so accumulation changes nothing.
    """
    length = rollout.mask[rows].sum(1)
    tokens = rollout.counts[rows].sum().float()
    parts: list[dict[str, Tensor]] = []
    for part in rows[length.argsort(stable=True)].split(learner.config.micro_batch_size):
        measured = learn_rows(learner, rollout.rows(part), targets, part, tokens)
        parts.append({name: value.double() for name, value in measured.items()})
    means = {name: torch.stack([row[name] for row in parts]).sum() / tokens for name in parts[0]}
    return means | {FIRST_RATIO: torch.stack([row[FIRST_RATIO] for row in parts]).max()}


def learn_rows(learner: Learner, rollout: Rollout, targets: Targets, rows: Tensor, tokens: Tensor) -> dict[str, Tensor]:
    """Backpropagate the loss of one micro-batch over `tokens`; return sums over response tokens of what is logged."""
    config, mask = learner.config, rollout.response_mask
    width = mask.shape[1]
    advantages, returns = targets.advantages[rows, :width], targets.returns[rows, :width]
    given = (rollout.ids, rollout.mask, rollout.counts)
    logits, hidden = learner.policy.run(*given, rollout.below, rollout.prefix)
    new = spread(token_logprobs(logits, rollout.tokens, config.temperature), mask)
    policy_loss = ppo_policy_loss(new, rollout.logprobs, advantages, mask, config.clip_range).sum()
    del logits
    if learner.value_model.separate:  # its graph is its own: the policy's is done with before it is made
        (policy_loss / tokens).backward()
        policy_loss, hidden = policy_loss.detach(), hidden.detach()
    values = spread(learner.value_model(*given, hidden, rollout.prefix), mask)
    value_loss = ppo_value_loss(values, rollout.values, returns, mask, config.value_clip_range).sum()
    loss = policy_loss + config.value_coef * value_loss
    (loss / tokens).backward()
    with torch.no_grad():
        logr = (new - rollout.logprobs).masked_fill(~mask, 0.0)
        moved = (values - rollout.values).abs() > config.value_clip_range
        return {
            "loss/policy": policy_loss.detach(),
            "loss/value": value_loss.detach(),
            "loss/total": loss.detach(),
            "policy/approxkl": masked_sum(kl_k2(new, rollout.logprobs), mask),
            "policy/clipfrac": clip_fraction(new, rollout.logprobs, mask, config.clip_range) * mask.sum(),
            "policy/ratio": masked_sum(logr.exp(), mask),
            "val/clipfrac": masked_sum(moved.float(), mask),
            FIRST_RATIO: logr.abs().max(),
        }


def episodes_at(train: Sequence[Episode], step: int, size: int, stage: Stage) -> list[Episode]:
    """Return the prompts of one iteration: a fresh permutation of all prompts each time they are used up."""
    first = step * size
    chosen = []
    for n in range(first, first + size):
        epoch, within = divmod(n, len(train))
        order = torch.randperm(len(train), generator=stage.generator("prompts", epoch))
        chosen.append(train[int(order[within])])
    return chosen
