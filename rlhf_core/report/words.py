"""Numbers, times and names as a report writes them: never more digits than the interval supports."""

from __future__ import annotations

from math import floor, isfinite, log10

from rlhf_core.data.contenders import parse_round

NAMES = {"base": "base model", "sft": "SFT model", "tuned": "tuned model"}
STAGES = {
    "pretrain": "Pretraining",
    "sft": "Supervised fine-tuning",
    "reward": "Reward model",
    "ppo": "PPO",
    "generate": "Generation",
    "evaluate": "Evaluation",
    "other": "Other training",
}
OUTCOMES = {"contender": "{contender} wins", "baseline": "{baseline} wins", "tie": "tie", "both_bad": "both bad"}
STATES = {"failed": "failed", "interrupted": "was interrupted", "complete": "is complete"}
MISSING = "–"


def contender_name(contender: str) -> str:
    """Return a contender's name in prose: `base` is the base model, `round-1` the tuned model of round 1."""
    number = parse_round(contender)
    return f"tuned model of round {number}" if number else NAMES.get(contender, contender)


def stage_state(stage: str, state: str) -> str:
    """Return where a stage stands, as a clause: `PPO was interrupted`."""
    return f"{STAGES[stage]} {STATES.get(state, f'is {state}')}"


def stage_steps(step: int, total: int) -> str:
    """Return `11 of 24`, or a dash for a stage that has not begun."""
    return f"{step} of {total}" if total else MISSING


def outcome_name(outcome: str, baseline: str, contender: str) -> str:
    """Return an outcome in words, such as `tuned model wins`."""
    return OUTCOMES[outcome].format(baseline=contender_name(baseline), contender=contender_name(contender))


def number(value: float | None, digits: int = 2, *, signed: bool = False) -> str:
    """Return a number with a true minus sign (`signed`: and a plus), a dash for none, ±∞ for an open end."""
    if value is None:
        return MISSING
    if not isfinite(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        return text.lstrip("-")
    return f"+{text}" if signed and value > 0 else text.replace("-", "−")


def digits_for(low: float | None, high: float | None) -> int:
    """Return the decimals that show the interval's width with two significant figures, 0 … 4; 2 without a width."""
    if low is None or high is None or not isfinite(high - low) or high <= low:
        return 2
    return min(max(1 - floor(log10(high - low)), 0), 4)


def interval(value: float, low: float | None, high: float | None) -> str:
    """Return `1.1 [0.2, 1.7]`; without an interval the value alone, and "no spread" where its ends are equal."""
    digits = digits_for(low, high)
    return f"{number(value, digits)}{_bracket(low, high, digits)}"


def percent(value: float | None) -> str:
    """Return a share as `61.2%`."""
    return MISSING if value is None else f"{number(100 * value, 1)}%"


def percent_interval(value: float, low: float | None, high: float | None) -> str:
    """Return a share with its interval as `61.2% [54.9, 67.1]`."""
    ends = (None, None) if low is None or high is None else (100 * low, 100 * high)
    return f"{percent(value)}{_bracket(*ends, 1)}"


def difference(value: float, low: float | None, high: float | None, unit: str, *, named: bool = False) -> str:
    """Return a difference with its sign and interval, `+1.1 [0.2, 1.7]`; a difference of shares in points.

    `named` adds the unit after the value.
    """
    percent_points = unit == "share"
    scale = 100 if percent_points else 1
    value, low, high = scale * value, None if low is None else scale * low, None if high is None else scale * high
    digits = 1 if percent_points else digits_for(low, high)
    name = {"share": " points", "probability": ""}.get(unit, f" {unit}") if named else ""
    return f"{number(value, digits, signed=True)}{name}{_bracket(low, high, digits)}"


def level(value: float, unit: str, digits: int = 2) -> str:
    """Return a mean in its measure's unit: shares as percentages, words with one decimal."""
    if unit == "share":
        return percent(value)
    return number(value, 1 if unit == "words" else digits)


def duration(seconds: float | None) -> str:
    """Return `45 s`, `3 min 20 s` or `2 h 05 min`; a dash when unknown."""
    if seconds is None:
        return MISSING
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def count(amount: int, noun: str, plural: str = "") -> str:
    """Return `1 vote`, `12 votes`, `1,200 votes`."""
    return f"{amount:,} {noun if amount == 1 else plural or noun + 's'}"


def p_value(p: float) -> str:
    """Return `p = 0.031`, `p < 0.001`, or `p = 1`."""
    return "p < 0.001" if p < 0.001 else "p = 1" if p == 1 else f"p = {p:.3f}"


def label(name: str) -> str:
    """Return a measure or category as words: `identity_attack` is `identity attack`."""
    return name.replace("_", " ")


def sentence_case(text: str) -> str:
    """Return the text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def _bracket(low: float | None, high: float | None, digits: int) -> str:
    if low is None or high is None:
        return ""
    return " [no spread]" if low == high else f" [{number(low, digits)}, {number(high, digits)}]"
