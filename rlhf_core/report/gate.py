"""Conditions on a report's figures, for continuous integration: `win_rate_low<0.5` holds or not, and missing evidence fails."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite

from rlhf_core.errors import ConfigError
from rlhf_core.report.measures import COUNTS, NAMES, measure_text
from rlhf_core.report.parts import Measure

COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
FORM = re.compile(r"\s*([A-Za-z_]\w*)\s*(<=|>=|==|<|>)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*")
ENDS = ("_low", "_high")


@dataclass(frozen=True)
class Condition:
    """One comparison of a figure with a number. `end` is "", "_low" or "_high"."""

    text: str
    name: str
    end: str
    sign: str
    limit: float


@dataclass(frozen=True)
class Finding:
    """What became of a condition: whether the report fails on it, and why in one sentence."""

    fails: bool
    sentence: str


def parse_condition(text: str) -> Condition:
    """Return the condition that `NAME < NUMBER` (or <=, >, >=, ==) says.

    Raises:
        ConfigError: it has another form, or names no figure; the nearest name is suggested.
    """
    found = FORM.fullmatch(text)
    if found is None:
        remedy = f"Write NAME, one of {' '.join(COMPARE)}, and a number: 'win_rate_low<0.5'"
        raise ConfigError("not a condition", where="--fail-if", value=text, remedy=remedy)
    asked, sign, limit = found.groups()
    if asked not in known_names():
        near = get_close_matches(asked.removesuffix("_low").removesuffix("_high"), NAMES, 1)
        remedy = f"Did you mean {near[0]}?" if near else "`rlhf report RUN --list-figures` lists them"
        raise ConfigError("no such figure", where="--fail-if", value=asked, remedy=remedy)
    end = next((end for end in ENDS if asked not in NAMES and asked.endswith(end)), "")
    return Condition(text.strip(), asked.removesuffix(end), end, sign, float(limit))


def known_names() -> list[str]:
    """Return every name that a condition may use."""
    return [full for name in NAMES for full in ((name,) if name in COUNTS else (name, *(name + end for end in ENDS)))]


def judge(conditions: Sequence[Condition], measures: Sequence[Measure]) -> list[Finding]:
    """Return what becomes of each condition; a figure that the run does not have fails, for nothing shows that it is good."""
    known = {measure.name: measure for measure in measures}
    return [_judge(condition, known.get(condition.name)) for condition in conditions]


def _judge(condition: Condition, measure: Measure | None) -> Finding:
    if measure is None:
        return Finding(
            True, f"{condition.text} cannot be told: the run has no {condition.name} ({NAMES[condition.name]})."
        )
    value = {"": measure.value, "_low": measure.low, "_high": measure.high}[condition.end]
    shown = f"{condition.name} is {measure_text(measure)}"
    if value is None or not isfinite(value):
        return Finding(True, f"{condition.text} cannot be told: {shown}, without such an end.")
    holds = COMPARE[condition.sign](value, condition.limit)
    return Finding(holds, f"{condition.text} {'holds' if holds else 'does not hold'}: {shown}.")
