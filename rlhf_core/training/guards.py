"""Guards of a PPO run: when it ends before its iterations are done, which state is kept, and alarms for collapse.

Over-optimising a learned reward first raises and then lowers what people think of the answers (Gao et al. 2022,
arXiv 2210.10760), so a run needs limits that are not the reward itself. States are numbered by the iterations done: the
batch of iteration n was written by state n − 1, and its update leaves state n.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rlhf_core.config import GuardsConfig
from rlhf_core.runs.outcome import ALARMS, Outcome

KL, ENTROPY, LENGTH, DISTINCT = "objective/kl", "policy/entropy", "tokens/response_length", "tokens/distinct_2"


@dataclass(frozen=True)
class GuardState:
    """What the guards remember between iterations. Part of every checkpoint.

    Attributes:
        first: entropy, length and diversity of the first batch; empty before it.
        kl: objective/kl of the batch before.
        best_score, best_step: the best held-out score so far and the state that has it.
        waited: held-out evaluations since then.
        reason: why the run has ended; empty while it goes on.
        condemned: True when a batch ended the run, so that the state that wrote it is given up.
    """

    first: Mapping[str, float] = field(default_factory=dict)
    kl: float = 0.0
    best_score: float = -math.inf
    best_step: int = 0
    waited: int = 0
    reason: str = ""
    condemned: bool = False


def watch_batch(
    state: GuardState, metrics: Mapping[str, float], config: GuardsConfig
) -> tuple[GuardState, dict[str, float]]:
    """Judge the batch of one iteration by its metrics; return the new state and every alarm as 1 (off: 0)."""
    first = state.first or {name: metrics[name] for name in (ENTROPY, LENGTH, DISTINCT)}
    alarms = {
        "alarm/entropy": metrics[ENTROPY] < config.entropy_floor * first[ENTROPY],
        "alarm/length": metrics[LENGTH] < config.length_floor * first[LENGTH]
        or metrics[LENGTH] > config.length_ceiling * first[LENGTH],
        "alarm/diversity": metrics[DISTINCT] < config.diversity_floor * first[DISTINCT],
        "alarm/kl": metrics[KL] - state.kl > config.kl_jump,
    }
    reason = _batch_reason(metrics[KL], alarms, config)
    state = replace(state, first=first, kl=metrics[KL], reason=reason, condemned=bool(reason))
    return state, {name: float(on) for name, on in alarms.items()}


def watch_score(state: GuardState, step: int, score: float, config: GuardsConfig) -> GuardState:
    """Judge the held-out score of state `step`; a run that has ended already is left as it is."""
    if state.reason:
        return state
    better = score > state.best_score
    state = replace(state, best_score=score, best_step=step) if better else state
    state = replace(state, waited=0 if better else state.waited + 1)
    return replace(state, reason=_score_reason(state, score, config))


def model_step(state: GuardState, step: int, config: GuardsConfig) -> int:
    """Return which state would be the model after `step` iterations.

    The newest one; the best one, where that is kept. A condemned state n − 1 was found out in iteration n, so n − 2, whose
    own batch was sound, is the newest that counts.
    """
    newest = max(step - 2, 0) if state.condemned else step
    return state.best_step if config.keeps_best and state.best_step <= newest else newest


def must_save(state: GuardState, step: int, config: GuardsConfig) -> bool:
    """Say whether state `step` needs a checkpoint: the run ends, may have to go back here, or this is the best to keep."""
    return bool(state.reason) or config.goes_back or (config.keeps_best and state.best_step == step)


def conclude(state: GuardState, step: int, config: GuardsConfig, limit: str) -> Outcome:
    """Return how a run of `step` iterations ended; `limit` is the reason when no guard ended it.

    The state a condemned run went back to is measured at its last step, any other at its own.
    """
    kept = model_step(state, step, config)
    return Outcome(state.reason or limit, bool(state.reason), step, kept, step if state.condemned else kept)


def _batch_reason(kl: float, alarms: Mapping[str, bool], config: GuardsConfig) -> str:
    if config.kl_budget is not None and kl > config.kl_budget:
        return f"KL of {kl:.2f} nats passed the budget of {config.kl_budget:g}"
    if config.on_alarm == "stop" and any(alarms.values()):
        return f"alarm, {next(ALARMS[name] for name, on in alarms.items() if on)}"
    return ""


def _score_reason(state: GuardState, score: float, config: GuardsConfig) -> str:
    if config.score_threshold is not None and score >= config.score_threshold:
        return f"held-out score of {score:.2f} reached the threshold of {config.score_threshold:g}"
    if config.patience is not None and state.waited >= config.patience:
        times = "evaluation" if state.waited == 1 else "evaluations"
        return (
            f"held-out score no better than {state.best_score:.2f} (step {state.best_step}) in {state.waited} {times}"
        )
    return ""
