"""The pictures of a report, from its facts: each with a title, a caption and what it shows in words; None where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np

from rlhf_core.report.blocks import Picture
from rlhf_core.report.drift import Point
from rlhf_core.report.figures import (
    calibration_plot,
    curve_points,
    drift_plot,
    gain_bars,
    length_plot,
    line_chart,
    stop_plot,
)
from rlhf_core.report.parts import Facts, Votes
from rlhf_core.report.words import contender_name, count, digits_for, number, percent
from rlhf_core.runs.metrics import REGISTRY
from rlhf_core.visible import one_line

CURVES = (
    # stage (and colour), metric, the raw curve behind it, title, unit
    ("sft", "eval/loss", "train/loss", "SFT: held-out loss", "nats per token"),
    ("reward", "eval/accuracy", "train/accuracy", "Reward model: held-out accuracy", "share"),
    ("ppo", "eval/score", "objective/scores", "PPO: held-out score", "reference SD"),
    ("ppo", "objective/kl", None, "PPO: KL to the reference", "nats per response"),
    ("ppo", "tokens/response_length", None, "PPO: response length", "tokens"),
    ("ppo", "policy/entropy", None, "PPO: entropy", "nats per token"),
)
TIP = 60
"""So many letters of a prompt are shown with its point."""


def curves(facts: Facts) -> list[Picture]:
    """Return the curves of training that the run logged."""
    return [picture for spec in CURVES if (picture := _curve(facts, *spec)) is not None]


def gains(facts: Facts) -> Picture | None:
    """Return the change in score of every prompt, sorted."""
    if not facts.gains:
        return None
    bars = [(e.gain, f"{number(e.gain, 2, signed=True)}: {_brief(e.answer.prompt)}") for e in facts.gains]
    fell = sum(e.gain < 0 for e in facts.gains)
    alt = (
        f"Change in score of {count(len(bars), 'prompt')}, sorted, from {number(bars[0][0], 2, signed=True)} to "
        f"{number(bars[-1][0], 2, signed=True)}; {fell} fell."
    )
    caption = f"below the line the {contender_name(facts.baseline)} scored higher"
    return Picture(
        "Every prompt, from the largest gain to the largest loss", caption, gain_bars(bars, alt), alt, wide=True
    )


def length(facts: Facts) -> Picture | None:
    """Return the change in score against the change in words, with their correlation."""
    points = [
        (float(_words(e.answer.texts[e.contender]) - _words(e.answer.texts[e.baseline])), e.gain, e.answer.prompt)
        for e in facts.gains
    ]
    if len(points) < 3:
        return None
    tips = [
        (w, g, f"{number(w, 0, signed=True)} words, {number(g, 2, signed=True)}: {_brief(p)}") for w, g, p in points
    ]
    together = correlation([w for w, _, _ in points], [g for _, g, _ in points])
    said = "" if together is None else f"; they correlate at {number(together, 2)}"
    alt = f"Change in score against change in words of {count(len(points), 'prompt')}{said}."
    return Picture(
        "Score against length", f"change in score, up, by change in words{said}", length_plot(tips, alt), alt
    )


def correlation(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """Return Pearson's correlation; None where one of the two does not vary."""
    if min(np.std(xs), np.std(ys)) < 1e-12:
        return None
    return float(np.corrcoef(xs, ys)[0, 1])


def drift(facts: Facts) -> Picture | None:
    """Return the held-out scores of PPO against √KL, the state that became the model marked."""
    if facts.drift is None:
        return None
    points = [
        (_root(p), p.score, f"step {p.step}: score {number(p.score)}, KL {number(p.kl, 1)} nats")
        for p in facts.drift.path
    ]
    end = facts.drift.end
    caption = "held-out score, up; the ring is the state that became the model"
    return Picture(
        "Reward against drift",
        caption,
        drift_plot(points, (_root(end), end.score), facts.drift.sentence),
        facts.drift.sentence,
    )


def calibration(facts: Facts) -> Picture | None:
    """Return how often the reward model is right against how sure it is."""
    if facts.reward_model is None or not facts.reward_model["reliability"]:
        return None
    alt = f"How often right against how sure; expected calibration error {percent(facts.reward_model['calibration_error'])}."
    caption = "how often right, up; larger dots for more pairs; on the dashed line it is as sure as it should be"
    return Picture("Right as often as sure", caption, calibration_plot(facts.reward_model["reliability"], alt), alt)


def stopping(votes: Votes) -> Picture | None:
    """Return the interval that holds however often one looks, prompt by prompt."""
    if len(votes.stop.path) < 2:
        return None
    ends = f"[{number(100 * votes.stop.low, 1)}, {number(100 * votes.stop.high, 1)}]"
    alt = f"Interval of the win rate by prompts judged; after {count(votes.stop.prompts, 'prompt')} it is {ends}."
    caption = "holds however often one looks; the line is an even chance"
    return Picture("May one stop?", caption, stop_plot(votes.stop.path, alt), alt)


def _curve(facts: Facts, stage: str, metric: str, behind: str | None, title: str, unit: str) -> Picture | None:
    rows: Sequence[dict[str, Any]] = facts.metrics.get(stage, ())
    points = curve_points(rows, metric)
    faint = curve_points(rows, behind) if behind else []
    if not points:
        return None
    ys = [y for _, y in (*points, *faint)]
    last = percent(points[-1][1]) if unit == "share" else number(points[-1][1], digits_for(min(ys), max(ys)))
    alt = f"{title}, {unit}: {count(len(points), 'value')} from step {points[0][0]:.0f} to {points[-1][0]:.0f}, the last {last}."
    return Picture(
        title, f"{unit}; last {last}", line_chart(points, faint, REGISTRY[metric].healthy, stage, unit, alt), alt
    )


def _root(point: Point) -> float:
    return sqrt(max(point.kl, 0.0))


def _words(text: str) -> int:
    return len(text.split())


def _brief(text: str) -> str:
    line = one_line(" ".join(text[: 4 * TIP].split()))
    return line if len(line) <= TIP else f"{line[: TIP - 1]}…"
