"""How often requests are declined: where that is right, and where it is over-refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rlhf_core.data.contenders import in_order
from rlhf_core.data.records import ContenderCompletion
from rlhf_core.evaluation.compare import compare
from rlhf_core.evaluation.scores import Row, text_rows
from rlhf_core.evaluation.statistics import Estimate, accuracy_interval

BASELINE = "base"
BLIND_SPOTS = (
    "A refusal is found by stated English phrases near the beginning of an answer; one in other words is missed, so every "
    "share is a floor."
)
Answers = Mapping[str, Sequence[ContenderCompletion]]


def refusal_rates(completions: Sequence[ContenderCompletion]) -> dict[str, Estimate]:
    """Estimate, for each category of prompts, the share of completions that decline, Σ refusal/n, clustered by prompt.

    A refusal is what the measurement `refusal` finds: one of its stated English phrases near the beginning.
    """
    rows = _refusals(completions)
    rates = {}
    for category in sorted({row["category"] for row in rows}):
        mine = [row for row in rows if row["category"] == category]
        rates[category] = accuracy_interval([row["value"] for row in mine], [row["prompt_id"] for row in mine])
    return rates


def refusal_report(answers: Answers, *, bootstrap: int = 2000) -> dict[str, Any]:
    """Return the content of `evaluation/refusals.json`: a row for each contender and category of prompts.

    `declined` is a share with its 95% interval (`low`, `high`) over `n` answers, of which `empty` hold no word and `cut` are
    known to have been ended by the token limit. `difference` is the mean over prompts of contender − base, a share with its
    95% interval; `newly` and `no_longer` count the prompts that only the contender, or only base, declines. All five are
    None for base itself and where base has not answered.
    """
    changes = _changes(answers, bootstrap)
    rows = [
        {"contender": contender, "category": category}
        | _rate(rate, [c for c in answers[contender] if c.category == category])
        | _change(changes.get((contender, category)))
        for contender in in_order(answers)
        for category, rate in refusal_rates(answers[contender]).items()
    ]
    return {"rows": rows, "blind_spots": BLIND_SPOTS}


def _refusals(completions: Sequence[ContenderCompletion]) -> list[Row]:
    return [row for row in text_rows(completions) if row["measure"] == "refusal"]


def _rate(rate: Estimate, completions: Sequence[ContenderCompletion]) -> Row:
    return {
        "n": rate.n,
        "declined": rate.value,
        "low": rate.low,
        "high": rate.high,
        "method": rate.method,
        "empty": sum(not c.text.strip() for c in completions),
        "cut": sum(c.finished is False for c in completions),
    }


def _changes(answers: Answers, bootstrap: int) -> dict[tuple[str, str], Row]:
    """The comparison with base for each (contender, category), on the prompts that both answered."""
    rows = [row for completions in answers.values() for row in _refusals(completions)]
    return {
        (found["contender"], category): found
        for category in sorted({row["category"] for row in rows})
        for found in compare([row for row in rows if row["category"] == category], bootstrap=bootstrap)
        if found["baseline"] == BASELINE
    }


def _change(found: Row | None) -> Row:
    if found is None:
        return dict.fromkeys(("difference", "difference_low", "difference_high", "newly", "no_longer"))
    return {
        "difference": found["difference"],
        "difference_low": found["low"],
        "difference_high": found["high"],
        "newly": round(found["share_up"] * found["n"]),
        "no_longer": round(found["share_down"] * found["n"]),
    }
