"""The loop that pretraining, fine-tuning and reward models share: steps, held-out loss, the best state, checkpoints."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn

from rlhf_core.config import OptimConfig
from rlhf_core.training.checkpoint import load_checkpoint, restore_trainable, save_checkpoint, trainable_state
from rlhf_core.training.optim import adamw, learning_rate, step_optimizer
from rlhf_core.training.stage import Stage

T = TypeVar("T")
Row = Mapping[str, float]


@dataclass(frozen=True)
class Schedule:
    """How long a stage trains and how often it looks up, in optimiser steps.

    Attributes:
        checkpoint_every: None takes `eval_every`.
        patience: held-out evaluations without improvement after which it stops; None never does.
    """

    total: int
    eval_every: int
    checkpoint_every: int | None = None
    patience: int | None = None

    def evaluates(self, step: int) -> bool:
        """Say whether the held-out loss is measured after `step` steps."""
        return step % self.eval_every == 0 or step == self.total

    def saves(self, step: int) -> bool:
        """Say whether a checkpoint is written after `step` steps."""
        return step % (self.checkpoint_every or self.eval_every) == 0 or step == self.total

    def exhausted(self, waited: int) -> bool:
        """Say whether `waited` evaluations without improvement are enough."""
        return self.patience is not None and waited >= self.patience


@dataclass
class Best:
    """The best held-out loss so far, the parameters that had it, and the evaluations since."""

    loss: float
    parameters: list[dict[str, torch.Tensor]]
    waited: int = 0

    def judge(self, loss: float, module: nn.Module) -> None:
        """Take the module's parameters when their loss is the lowest; wait one evaluation longer when it is not."""
        if loss < self.loss:
            self.loss, self.parameters, self.waited = loss, trainable_state(module), 0
        else:
            self.waited += 1


def fit(
    module: nn.Module,
    learn: Callable[[int], Row],
    measure: Callable[[], Row],
    schedule: Schedule,
    optim: OptimConfig,
    stage: Stage,
    identity: str,
) -> None:
    """Train the parameters of `module` that require gradients, and leave it at its best held-out loss.

    Resumes from the stage's newest checkpoint as if nothing had happened. Logs what `learn` and `measure` return, and optim/*.

    Args:
        learn: backpropagates the batch of a step (from 0) and returns its metrics, `train/loss` among them.
        measure: returns held-out metrics, `eval/loss` among them; called before the first step too.
        identity: tells the untrained model from others; a checkpoint of another is refused.
    """
    optimizer = adamw([p for p in module.parameters() if p.requires_grad], optim)
    fingerprint = f"{identity}:{stage.inputs}"
    step, best = _resume(module, optimizer, schedule, stage, fingerprint)
    if step == 0:
        best.loss = _log(measure(), stage, 0)
    with stage.stop.after_step():
        while step < schedule.total and not schedule.exhausted(best.waited):
            row = learn(step)
            rate = learning_rate(step, schedule.total, optim)
            norm = step_optimizer(optimizer, rate, optim.max_grad_norm)
            step += 1
            stage.directory.log(step, {**row, "optim/lr": rate, "optim/grad_norm": norm.item()})
            if schedule.evaluates(step):
                best.judge(_log(measure(), stage, step), module)
            stopping = stage.stop.asked  # a wish from here on is for the next step
            if stopping or schedule.saves(step) or schedule.exhausted(best.waited):
                save_checkpoint(stage.directory.checkpoints, step, fingerprint, _state(module, optimizer, best))
            stage.report(step, schedule.total, f"loss {row['train/loss']:.3f}, held-out {best.loss:.3f}")
            if stopping:
                break
    restore_trainable(best.parameters, module)


def batch_at(train: Sequence[T], step: int, size: int, stage: Stage) -> list[T]:
    """Return the examples of one step: every example once per epoch, in a fresh permutation each epoch."""
    epoch, within = divmod(step, steps_per_epoch(train, size))
    order = torch.randperm(len(train), generator=stage.generator("epoch", epoch)).tolist()
    return [train[n] for n in order[within * size : (within + 1) * size]]


def steps_per_epoch(train: Sequence[Any], size: int) -> int:
    """Return ⌈examples/size⌉."""
    return math.ceil(len(train) / size)


def perplexity(loss: float) -> float:
    """exp(loss) of a loss in nats per token; e⁵⁰ at most, so that a model that knows nothing still has one."""
    return math.exp(min(loss, 50.0))


def _log(row: Row, stage: Stage, step: int) -> float:
    stage.directory.log(step, dict(row))
    return row["eval/loss"]


def _state(module: nn.Module, optimizer: torch.optim.Optimizer, best: Best) -> dict[str, Any]:
    return {
        "parameters": trainable_state(module),
        "optimizer": optimizer.state_dict(),
        "best": best.loss,
        "best_parameters": best.parameters,
        "waited": best.waited,
    }


def _resume(
    module: nn.Module, optimizer: torch.optim.Optimizer, schedule: Schedule, stage: Stage, fingerprint: str
) -> tuple[int, Best]:
    """Bring back the newest checkpoint, if any; return (steps done, the best so far)."""
    step, best = 0, Best(math.inf, trainable_state(module))
    if found := load_checkpoint(stage.directory.checkpoints, fingerprint):
        step, state = found
        restore_trainable(state["parameters"], module)
        optimizer.load_state_dict(state["optimizer"])
        best = Best(state["best"], state["best_parameters"], state["waited"])
        stage.report(step, schedule.total, f"resumed at step {step}")
    stage.directory.rewind(step or -1)  # without a checkpoint, step 0 is logged again
    return step, best
