"""Write a report as one HTML file: its only script is its own, no network, light and dark, made to be printed too."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from rlhf_core.report import figures, judged_words, pictures, sections, words
from rlhf_core.report.auto_judge_blocks import auto_judge_blocks
from rlhf_core.report.blocks import code_runs
from rlhf_core.report.document import kl_sentence
from rlhf_core.report.parts import Comparison, Facts
from rlhf_core.report.refusals import CATEGORIES
from rlhf_core.report.rounds import round_paragraphs
from rlhf_core.report.verdict import REWARD, TEXT, main_votes
from rlhf_core.visible import visible

TEMPLATES = Path(__file__).parent / "templates"
SCRIPT = (TEMPLATES / "report.js").read_text(encoding="utf-8")
SCRIPT_HASH = f"sha256-{b64encode(sha256(SCRIPT.encode()).digest()).decode()}"


def render_html(facts: Facts) -> str:
    """Return the report as one self-contained HTML page; completions appear as text and are never executed.

    The page's policy lets nothing run but the script that it holds, named by its hash.
    """
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            facts=facts,
            script=Markup(SCRIPT),
            script_hash=SCRIPT_HASH,
            curves=pictures.curves(facts),
            gains=pictures.gains(facts),
            length=pictures.length(facts),
            drift=pictures.drift(facts),
            calibration=pictures.calibration(facts),
            criteria_blocks=sections.criteria_blocks(facts),
            auto_judge_blocks=auto_judge_blocks(facts),
            method_blocks=sections.method_blocks(facts),
            data_blocks=sections.data_blocks(facts),
            limitation_blocks=sections.limitation_blocks(facts),
            measure_blocks=sections.measure_blocks(facts),
            making_blocks=sections.making_blocks(facts, config=False),
            contenders=list(dict.fromkeys(name for answer in facts.answers for name in answer.texts)),
            gain_of={e.answer.prompt_id: e.gain for e in facts.gains},
            people_on=people_on(facts),
            round_paragraphs=round_paragraphs(facts),
            rewards=_family(facts, [REWARD]),
            texts=_family(facts, [TEXT]),
            toxicity=_family(facts, [name for name in _scorers(facts) if name not in (REWARD, TEXT)]),
        )
    )


def people_on(facts: Facts) -> dict[str, tuple[float, str]]:
    """Return of each prompt that people judged the share the contender wins, as a number and in words; one criterion counts."""
    votes = main_votes(facts.human_votes, facts)
    if votes is None:
        return {}
    asked = {"criterion": votes.criterion, "baseline": votes.baseline, "contender": votes.contender}
    asked |= {"kind": "item", "simulated": False}
    scores: dict[str, list[float]] = {}
    for row in facts.vote_rows:
        if all(row[name] == value for name, value in asked.items()):
            scores.setdefault(row["prompt_id"], []).append(float(row["score"]))
    means = {prompt: (sum(found) / len(found), len(found)) for prompt, found in scores.items()}
    return {prompt: (mean, f"{mean:.0%} of {words.count(n, 'vote')}") for prompt, (mean, n) in means.items()}


def with_code(text: str) -> Markup:
    """Return our own prose as markup: its commands are set as code, all else is escaped."""
    pieces = code_runs(visible(text))
    return Markup("").join(Markup("<code>{}</code>").format(piece) if code else escape(piece) for code, piece in pieces)


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
    drawn = ("track", "track_scale", "axis_of", "stacked_bar")
    environment.globals |= {name: getattr(figures, name) for name in drawn}
    said = (
        "JUDGED_HOW",
        "agreement_sentence",
        "decided_of",
        "judged_sentences",
        "kappa_of",
        "share_of",
        "votes_sentence",
    )
    environment.globals |= {name: getattr(judged_words, name) for name in said}
    environment.globals |= {"STAGES": words.STAGES, "CATEGORIES": CATEGORIES}
    environment.globals |= {"axis_of_rows": _axis_of_rows, "with_code": with_code, "kl_sentence": kl_sentence}
    environment.globals |= {"stopping": pictures.stopping, "kind_of": lambda block: type(block).__name__}
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
