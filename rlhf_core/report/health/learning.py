"""Rules for stages that learn from examples: the loss, and what a reward model knows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rlhf_core.report.health.finding import Config, Finding, Rule, curve, healthy
from rlhf_core.report.words import count, number


def loss_is_a_number(metrics: pd.DataFrame, _config: Config) -> Finding | None:
    """Find updates without a finite loss. A loss that is NaN is logged as nothing, in a row that has everything else."""
    name = "loss/total" if "loss/total" in metrics else "train/loss"
    if name not in metrics or "optim/lr" not in metrics:
        return None
    updates = metrics.loc[metrics["optim/lr"].notna()]
    if not updates[name].notna().to_numpy().any() and metrics[name].notna().to_numpy().any():
        return None  # of an imported run: the loss was logged apart from the rate
    broken = updates.loc[~np.isfinite(updates[name].to_numpy(dtype=float)), "step"]
    if broken.empty:
        return None
    return Finding(
        "The loss is not a number",
        f"From step {broken.iloc[0]} on, {count(len(broken), 'update')} had no finite loss.",
        "Lower the learning rate, and look at the gradient norm just before. What was learnt since then is worthless: "
        "go back to a checkpoint before that step.",
        name,
    )


RISES = 1.02


def _overfits(metrics: pd.DataFrame, _config: Config) -> Finding | None:
    loss = curve(metrics, "eval/loss")
    if not len(loss) or not loss.last > RISES * loss.values.min():
        return None
    best = int(loss.values.argmin())
    return Finding(
        "The held-out loss rises again",
        f"It was lowest at step {loss.steps[best]}, {number(loss.values[best], 3)}, and is {number(loss.last, 3)} at step "
        f"{loss.steps[-1]}.",
        "The model learns its examples by heart from there on. The state with the lowest held-out loss is the one that is kept; "
        "fewer epochs or more data save the time.",
        "eval/loss",
    )


COIN = 0.55


def _coin(metrics: pd.DataFrame, _config: Config) -> Finding | None:
    right = curve(metrics, "eval/accuracy")
    if len(right) < 2 or not right.values.max() < COIN:
        return None
    best = int(right.values.argmax())
    return Finding(
        "The reward model hardly knows better than a coin",
        f"At best {number(100 * right.values[best], 1)}% of held-out pairs are right, at step {right.steps[best]}.",
        "PPO would learn its noise. Look at the rankings: do people agree, is one kind of prompt judged the opposite of another "
        "(reward.by_category)? More pairs help most.",
        "eval/accuracy",
    )


def _calibration(metrics: pd.DataFrame, _config: Config) -> Finding | None:
    error, high = curve(metrics, "eval/calibration_error"), healthy("eval/calibration_error")[1]
    if not len(error) or not error.last > high:
        return None
    return Finding(
        "The reward model is surer than it is right",
        f"Calibration error {number(error.last, 3)} at step {error.steps[-1]}, above {number(high, 1)}.",
        "Its margins mean less than they say. Label smoothing, fewer epochs, or more pairs.",
        "eval/calibration_error",
    )


RULES: dict[str, Rule] = {"a loss that is a number": loss_is_a_number, "held-out loss": _overfits}
REWARD_RULES: dict[str, Rule] = {"accuracy": _coin, "calibration": _calibration}
