"""Rules for PPO: drift, collapse, updates that go too far, a lost critic, and a score that is overdone."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from rlhf_core.report.health.finding import FEW, LASTING, Config, Curve, Finding, Rule, curve, healthy, lasting, outside
from rlhf_core.report.health.learning import loss_is_a_number
from rlhf_core.report.words import count, number
from rlhf_core.runs.outcome import ALARMS

EXPLODES = 5.0  # times the median before
CREEPS, TREND = 1.25, 0.6  # last quarter against the first, rank correlation with the step
CUT_OFF = 0.5  # share of responses that end by themselves
GAIN, LESS_VARIED, STRANGER, MORE_TOXIC, LESS_LIKED = 0.2, 0.85, 1.5, 0.05, 0.1


def _drift(metrics: pd.DataFrame, config: Config) -> Finding | None:
    name = "objective/kl"
    budget = _guard(config, "kl_budget")
    limit = budget or healthy(name)[1]
    drift = curve(metrics, name)
    over = drift.where(drift.values > limit)
    if not len(over):
        return None
    most = int(over.values.argmax())
    whose = "the budget of guards.kl_budget" if budget else "where answers of good runs usually stay"
    return Finding(
        "The policy has drifted far from its reference",
        f"KL was {number(over.values[most])} nats per response at step {over.steps[most]}, above {number(limit, 0)}, {whose}; "
        f"the first time at step {over.steps[0]}.",
        "Raise ppo.kl_coef, or set ppo.kl_target and let it adapt; a lower learning rate drifts more slowly. "
        "ppo.guards.kl_budget keeps the last state within a budget.",
        name,
    )


def _alarm(name: str, metric: str, title: str, advice: str) -> Rule:
    """The rule of one of the guards' alarms, with the figures it went off for."""

    def rule(metrics: pd.DataFrame, _config: Config) -> Finding | None:
        alarm, values = curve(metrics, name), curve(metrics, metric)
        rung = alarm.where(alarm.values > 0)
        if not len(rung):
            return None
        then = values.where(values.steps == rung.steps[0])
        figures = f" It began at {number(values.first)} and was {number(then.first)} then." if len(then) else ""
        return Finding(title, f"Alarm at step {rung.steps[0]}: {ALARMS[name]}.{figures}", advice, metric)

    return rule


def _ratio(metrics: pd.DataFrame, _config: Config) -> Finding | None:
    return outside(
        metrics, "policy/ratio", "Updates go too far: the mean probability ratio is not near 1",
        "Lower the learning rate or ppo.epochs, or let ppo.target_kl end an update early.",
    )  # fmt: skip


def _clipping(metrics: pd.DataFrame, _config: Config) -> Finding | None:
    return outside(
        metrics, "policy/clipfrac", "Many updates are clipped",
        "The policy moves further in one update than the clip range trusts: lower the learning rate or ppo.epochs.",
    )  # fmt: skip


def _value_loss(metrics: pd.DataFrame, _config: Config) -> Finding | None:
    loss = curve(metrics, "loss/value")
    if len(loss) < FEW:
        return None
    before = float(np.median(loss.values[:-LASTING]))
    return lasting(
        "The value loss explodes", loss, loss.values > EXPLODES * before,
        lambda since: f"Since step {since} it is more than {number(EXPLODES, 0)} times its median before ({number(before)}), "
        f"last {number(loss.last)}.",
        "Look whether the score jumped at the same step; whiten or clip rewards, lower ppo.value_coef or the learning rate, "
        "or give the value function a network of its own.",
    )  # fmt: skip


def _critic(metrics: pd.DataFrame, _config: Config) -> Finding | None:
    explained = curve(metrics, "val/explained_variance")
    if len(explained) < FEW:
        return None
    return lasting(
        "The critic knows less than a constant would", explained, explained.values < 0,
        lambda since: f"Explained variance has been below 0 since step {since}, last {number(explained.last)}.",
        "Advantages are noisier for it. Give it more updates (ppo.epochs), a larger ppo.value_coef, or larger batches.",
    )  # fmt: skip


def _length(metrics: pd.DataFrame, _config: Config) -> Finding | None:
    """Less than an alarm: the last quarter against the first, and a rank correlation with the step."""
    values = curve(metrics, "tokens/response_length").values
    quarter = len(values) // 4
    if len(values) < FEW or not values[:quarter].mean() > 0 or curve(metrics, "alarm/length").values.any():
        return None
    first, last = float(values[:quarter].mean()), float(values[-quarter:].mean())
    trend = float(spearmanr(np.arange(len(values)), values)[0])  # pyright: ignore[reportArgumentType]
    if not (abs(trend) >= TREND and max(last / first, first / last) >= CREEPS):
        return None
    way = "longer" if last > first else "shorter"
    return Finding(
        f"Answers grow {way} as training goes on",
        f"{number(first, 0)} tokens on average in the first quarter of the run, {number(last, 0)} in the last "
        f"(rank correlation with the step {number(trend, signed=True)}).",
        "See in the reward model's report how far length alone predicts its choices: what the policy learns may be length. "
        "Compare answers of equal length before believing a gain.",
        "tokens/response_length",
    )


def _cut_off(metrics: pd.DataFrame, _config: Config) -> Finding | None:
    ended = curve(metrics, "tokens/eos_frac")
    return lasting(
        "Most answers never end", ended, ended.values < CUT_OFF,
        lambda since: f"Since step {since} fewer than half of the responses end by themselves, "
        f"last {number(100 * ended.last, 0)}%.",
        "Raise ppo.response_length, or ppo.missing_eos_penalty; fine-tune on short answers first. Text that is cut off is "
        "scored as it stands.",
    )  # fmt: skip


def _overdone(metrics: pd.DataFrame, config: Config) -> Finding | None:
    """Gao et al. 2022: the score that is optimised rises while what is not gives way."""
    score = curve(metrics, "eval/score")
    if len(score) < 2 or score.last - score.first < GAIN:
        return None
    held_out = [str(name) for name in metrics if str(name).startswith("eval/")]
    worse = [said for name in held_out if (said := _gives_way(name, curve(metrics, name), config))]
    if not worse:
        return None
    return Finding(
        "The score rises while other measures give way",
        f"Held-out score {number(score.first)} → {number(score.last)}; meanwhile {'; '.join(worse)}.",
        "Read the answers at both ends before believing the gain. People stop earlier (ppo.guards.kl_budget or patience), raise "
        "ppo.kl_coef, score with an ensemble, or let people judge and train the reward model on their votes.",
        "eval/score",
    )


def _gives_way(name: str, values: Curve, config: Config) -> str:
    """What one held-out measure lost from its first value to its last, in words; nothing where it has not."""
    if len(values) < 2:
        return ""
    first, last = values.first, values.last
    ways = {
        "eval/distinct_2": ("different bigrams", last < LESS_VARIED * first),
        "eval/perplexity_ref": ("perplexity under the reference", last > STRANGER * first),
    }
    if audit := name.removeprefix("eval/audit_") if name.startswith("eval/audit_") else "":
        kinds = {source.get("name", "reward_model"): source.get("kind") for source in _ppo(config).get("audits") or ()}
        toxic = kinds.get(audit) == "toxicity"
        ways[name] = (audit, last - first > MORE_TOXIC if toxic else audit in kinds and first - last > LESS_LIKED)
    words, worse = ways.get(name, ("", False))
    return f"{words} {number(first)} → {number(last)}" if worse else ""


def _no_gain(metrics: pd.DataFrame, _config: Config) -> Finding | None:
    score = curve(metrics, "eval/score")
    if len(score) < LASTING or score.values[1:].max() > score.first:
        return None
    return Finding(
        "The held-out score has not risen",
        f"It was {number(score.first)} before training and at best {number(score.values[1:].max())} in "
        f"{count(len(score) - 1, 'measurement')} since.",
        "If KL stays near 0 too, raise the learning rate or lower ppo.kl_coef; if KL grows, look at the reward while training: "
        "a batch may be too small for it.",
        "eval/score",
    )


def _ppo(config: Config) -> Config:
    return config.get("ppo") or {}


def _guard(config: Config, name: str) -> float | None:
    return (_ppo(config).get("guards") or {}).get(name)


RULES: dict[str, Rule] = {
    "a loss that is a number": loss_is_a_number,
    "drift": _drift,
    "jumps of drift": _alarm(
        "alarm/kl", "objective/kl", "Drift jumped",
        "Look at the batch of that step: one odd reward can do it. A lower learning rate or ppo.target_kl bounds a step.",
    ),
    "entropy": _alarm(
        "alarm/entropy", "policy/entropy", "Entropy has collapsed",
        "The policy has all but stopped exploring: raise ppo.kl_coef, lower the learning rate, or go back to an earlier "
        "checkpoint.",
    ),
    "variety": _alarm(
        "alarm/diversity", "tokens/distinct_2", "Answers have become alike",
        "Read them: a phrase that the reward model likes is being repeated. Raise ppo.kl_coef, or penalise it in the reward.",
    ),
    "over-optimisation": _overdone,
    "lengths far from the first": _alarm(
        "alarm/length", "tokens/response_length", "Answers have become much shorter or longer",
        "The reward model's report says how far length alone predicts its choices. Raise ppo.kl_coef, or train it on pairs "
        "of equal length.",
    ),
    "length": _length,
    "probability ratios": _ratio,
    "clipping": _clipping,
    "value loss": _value_loss,
    "the critic": _critic,
    "answers cut off": _cut_off,
    "the held-out score": _no_gain,
}  # fmt: skip
"""What is looked at, by name, the gravest first."""
