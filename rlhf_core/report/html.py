"""Write a report as one HTML file: no scripts, no network, light and dark, made to be printed too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from rlhf_core.report import figures, judged_words, words
from rlhf_core.report.parts import Comparison, Facts
from rlhf_core.report.refusals import CATEGORIES
from rlhf_core.report.rounds import round_paragraphs
from rlhf_core.report.verdict import REWARD, TEXT
from rlhf_core.runs.metrics import REGISTRY
from rlhf_core.visible import visible

TEMPLATES = Path(__file__).parent / "templates"
CURVES = (
    # stage (and colour), metric, the raw curve behind it, title, unit
    ("sft", "eval/loss", "train/loss", "SFT: held-out loss", "nats per token"),
    ("reward", "eval/accuracy", "train/accuracy", "Reward model: held-out accuracy", "share"),
    ("ppo", "eval/score", "objective/scores", "PPO: held-out score", "reference SD"),
    ("ppo", "objective/kl", None, "PPO: KL to the reference", "nats per response"),
    ("ppo", "tokens/response_length", None, "PPO: response length", "tokens"),
    ("ppo", "policy/entropy", None, "PPO: entropy", "nats per token"),
)


@dataclass(frozen=True)
class Curve:
    """One training curve, drawn, with the labels that stand around it."""

    title: str
    unit: str
    drawing: Markup
    first: float
    last: float
    low: float
    high: float
    final: float


def render_html(facts: Facts) -> str:
    """Return the report as one self-contained HTML page; completions appear as text and are never executed."""
    curves = [curve for spec in CURVES if (curve := _curve(facts, *spec))]
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            facts=facts,
            curves=curves,
            round_paragraphs=round_paragraphs(facts),
            rewards=_family(facts, [REWARD]),
            texts=_family(facts, [TEXT]),
            toxicity=_family(facts, [name for name in _scorers(facts) if name not in (REWARD, TEXT)]),
        )
    )


def with_code(text: str) -> Markup:
    """Return our own prose as markup: what stands between backticks is set as code, all else escaped."""
    pieces = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(p) if n % 2 else p for n, p in enumerate(pieces))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    named = ("count", "difference", "duration", "label", "level", "number", "p_value", "percent")
    more = ("percent_interval", "contender_name", "outcome_name", "sentence_case", "digits_for", "stage_steps")
    environment.globals |= {name: getattr(words, name) for name in (*named, *more)}
    drawn = ("track", "track_scale", "axis_of", "stacked_bar", "gain_bars", "calibration_plot")
    environment.globals |= {name: getattr(figures, name) for name in drawn}
    said = ("JUDGED_HOW", "agreement_sentence", "decided_of", "judged_sentences", "kappa_of", "share_of")
    environment.globals |= {name: getattr(judged_words, name) for name in said}
    environment.globals |= {"STAGES": words.STAGES, "CATEGORIES": CATEGORIES}
    environment.globals |= {"axis_of_rows": _axis_of_rows, "with_code": with_code}
    return environment


def _finalize(value: Any) -> Any:
    return visible(value) if type(value) is str else value


def _scorers(facts: Facts) -> list[str]:
    return list(dict.fromkeys(c.scorer for c in facts.comparisons))


def _family(facts: Facts, scorers: Sequence[str]) -> list[Comparison]:
    """Return the main pair's rows of these scorers, all prompts and every category."""
    return [c for c in facts.main(None) if c.scorer in scorers]


def _axis_of_rows(rows: Sequence[Comparison]) -> tuple[float, float]:
    """Return a range for the differences of rows in one unit, zero included."""
    return figures.axis_of([end for c in rows for end in (c.difference, c.low, c.high)], 0.0)


def _curve(facts: Facts, stage: str, metric: str, behind: str | None, title: str, unit: str) -> Curve | None:
    rows: Sequence[dict[str, Any]] = facts.metrics.get(stage, ())
    points = figures.curve_points(rows, metric)
    faint = figures.curve_points(rows, behind) if behind else []
    if not points:
        return None
    (first, last), (low, high) = figures.chart_range(points, faint)
    drawing = figures.line_chart(points, faint, REGISTRY[metric].healthy, stage, f"{title}, {unit}")
    return Curve(title, unit, drawing, first, last, low, high, points[-1][1])
