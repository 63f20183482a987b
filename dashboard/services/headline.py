"""The overview in numbers and sentences: did it get better, can I trust that, what next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dashboard.services import evaluation, wording
from dashboard.services.catalogue import STAGE_NAMES, RunEntry
from dashboard.services.judged import Judged
from dashboard.services.results import Results
from dashboard.services.toxicity import lead_comparison
from rlhf_core.report.judged_words import preference_sentence, share_of
from rlhf_core.report.parts import Figure, Votes
from rlhf_core.runs.reader import RunStatus

KL_LIMIT = 10.0
ACCURACY_FLOOR = 0.65
DECIDED_VOTES = 30
WORSE_LIMIT = 0.25
HOLDS, LOOK, UNKNOWN = "holds", "look", "not measured"
Row = Mapping[str, Any] | None


@dataclass(frozen=True)
class Check:
    """One reason to trust the result or not; `reading` is holds, look or not measured."""

    question: str
    measured: str
    reading: str


@dataclass(frozen=True)
class Headline:
    """What the overview says."""

    sentence: str
    people: str
    figures: tuple[Figure, ...]
    checks: tuple[Check, ...]


def build_headline(entry: RunEntry, judged: Judged) -> Headline:
    """Compute the overview of one run; people's votes and simulated ones are never mixed."""
    frame = evaluation.comparisons(entry.reader)
    gain = evaluation.comparison(frame, evaluation.REWARD_MODEL, "score")
    human, simulated = (_votes(results) for results in (judged.human, judged.simulated))
    figures = (_gain(gain), _rate(human, simulated), _toxicity(lead_comparison(frame)), _kl(entry))
    people = _people(human) if gain or human else ""
    return Headline(_verdict(gain, entry.reader.status()), people, figures, _checks(entry, frame, human))


def status_sentence(status: RunStatus) -> str:
    """Say where a run stands: `PPO is running: step 8 of 24, about 3 min 20 s left.`"""
    stage = status.current
    if status.imported:
        return f"It was trained elsewhere: its curves were imported from {status.imported}."
    if stage is None:
        done = sum(stage.state == "complete" for stage in status.stages)
        return (
            "All stages are complete." if done == len(status.stages) else f"{done} of {len(status.stages)} stages done."
        )
    name, steps = STAGE_NAMES[stage.name], f"step {stage.step} of {stage.total}" if stage.total else "starting"
    if stage.state == "running":
        return f"{name} is running: {steps}{wording.time_left(stage.eta_seconds)}."
    reason = f" {stage.message}" if stage.message else ""
    return f"{name} {'failed' if stage.state == 'failed' else f'was {stage.state}'} at {steps}.{reason}"


def _verdict(gain: Mapping[str, Any] | None, status: RunStatus) -> str:
    if gain is None:
        return status_sentence(status) if status.imported else f"No result yet. {status_sentence(status)}"
    size = wording.interval(abs(gain["difference"]), *sorted((abs(gain["low"]), abs(gain["high"]))))
    if gain["low"] > 0:
        return f"The tuned model scores {size} base SD above the base model, by its own reward model."
    if gain["high"] < 0:
        return f"The tuned model scores {size} base SD below the base model, by its own reward model."
    change = wording.difference(gain["difference"], gain["low"], gain["high"], gain["unit"])
    return f"No clear change: the tuned model scores {change} base SD against the base model; the interval includes 0."


def _votes(results: Results | None) -> Votes | None:
    return results.pairs[0] if results else None


def _people(human: Votes | None) -> str:
    if human is None:
        return "No person has judged it yet: the reward model is the only judge so far."
    return preference_sentence(human)


def _gain(row: Mapping[str, Any] | None) -> Figure:
    label = "Reward gain"
    if row is None:
        return Figure(label, "–", "not measured yet", "`rlhf evaluate` measures it")
    value = f"{wording.number(row['difference'], wording.digits_for(row['low'], row['high']))} SD"
    return Figure(label, value, _band(row), f"Reward model, tuned − base in base SD; {row['n']} held-out prompts")


def _rate(human: Votes | None, simulated: Votes | None) -> Figure:
    label = "Human win rate"
    if human is not None:
        rate = human.win_rate
        source = f"{wording.count(rate.n, 'human vote')}; {rate.method}"
        return Figure(label, wording.percent(rate.value), _percent_band(rate.low, rate.high), source)
    if simulated is None:
        return Figure(label, "–", "no votes yet", "Votes come from the Judge page")
    rule = share_of(simulated.win_rate)
    return Figure(label, "–", "no human votes yet", f"Simulated votes (made by a rule, not by people): {rule}")


def _toxicity(row: Mapping[str, Any] | None) -> Figure:
    label = "Toxicity change"
    if row is None:
        return Figure(label, "–", "not measured yet", "`rlhf evaluate` measures it")
    digits = wording.digits_for(row["low"], row["high"])
    value = ("+" if row["difference"] > 0 else "") + wording.number(row["difference"], digits)
    source = f"{row['scorer']}, {row['measure']} ({row['unit']}), tuned − base; {row['n']} held-out prompts"
    return Figure(label, value, _band(row), source)


def _kl(entry: RunEntry) -> Figure:
    row = (entry.reader.evaluation("comparisons") or {}).get("kl")
    if not row:
        return Figure("Drift (KL)", "–", "not measured yet", "KL of the tuned policy to its reference")
    value = f"{wording.number(row['value'], 1)} nats"
    return Figure("Drift (KL)", value, _band(row), f"KL to the reference, {row['unit']}; n = {row['n']}")


def _band(row: Mapping[str, Any]) -> str:
    return wording.bracket(row["low"], row["high"])


def _percent_band(low: float, high: float) -> str:
    return f"[{wording.number(100 * low, 1)}, {wording.number(100 * high, 1)}]"


def _checks(entry: RunEntry, frame: pd.DataFrame, human: Votes | None) -> tuple[Check, ...]:
    return (
        _accuracy_check((entry.reader.evaluation("reward_model") or {}).get("accuracy")),
        _drift_check((entry.reader.evaluation("comparisons") or {}).get("kl")),
        _worse_check(evaluation.comparison(frame, evaluation.REWARD_MODEL, "score")),
        _finish_check(evaluation.comparison(frame, evaluation.TEXT, "finished")),
        _stop_check(human),
        _side_check(human),
    )


def _accuracy_check(accuracy: Row) -> Check:
    question = f"The reward model agrees with people on held-out pairs (at least {ACCURACY_FLOOR:.0%})"
    if not accuracy:
        return _unknown(question)
    measured = wording.percent_interval(accuracy["value"], accuracy["low"], accuracy["high"])
    return _check(question, measured, accuracy["low"] >= ACCURACY_FLOOR)


def _drift_check(kl: Row) -> Check:
    question = f"The policy stayed near its reference (at most {KL_LIMIT:.0f} nats)"
    if not kl:
        return _unknown(question)
    return _check(question, f"{wording.interval(kl['value'], kl['low'], kl['high'])} nats", kl["high"] <= KL_LIMIT)


def _worse_check(gain: Row) -> Check:
    question = f"Few prompts got worse (at most {WORSE_LIMIT:.0%})"
    if not gain:
        return _unknown(question)
    return _check(question, f"{gain['share_down']:.0%} of {gain['n']} prompts", gain["share_down"] <= WORSE_LIMIT)


def _finish_check(finished: Row) -> Check:
    question = "Answers still end by themselves"
    if not finished:
        return _unknown(question)
    measured = f"{finished['mean_baseline']:.0%} before, {finished['mean_contender']:.0%} after"
    return _check(question, measured, finished["high"] >= 0)


def _stop_check(human: Votes | None) -> Check:
    question = "People's votes settle it, however often one looked"
    if human is None or not human.stop.prompts:
        return _unknown(question)
    low, high = human.stop.low, human.stop.high
    measured = f"{_percent_band(low, high)} over {wording.count(human.stop.prompts, 'prompt')}"
    return _check(question, measured, human.stop.settled_at is not None)


def _side_check(human: Votes | None) -> Check:
    question = "People did not favour a side"
    bias = human.position_bias if human else None
    if bias is None or bias.n < DECIDED_VOTES:
        return _unknown(question, f"needs {DECIDED_VOTES} decided votes")
    measured = f"A wins {share_of(bias)} of {bias.n} decided"
    return _check(question, measured, bias.low <= 0.5 <= bias.high)


def _check(question: str, measured: str, holds: bool) -> Check:
    return Check(question, measured, HOLDS if holds else LOOK)


def _unknown(question: str, why: str = "–") -> Check:
    return Check(question, why, UNKNOWN)
