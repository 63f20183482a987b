"""How often requests are declined: where that is right, and where it is over-refusal."""

from __future__ import annotations

from collections.abc import Sequence

from rlhf_core.data.records import ContenderCompletion
from rlhf_core.evaluation.scores import text_rows
from rlhf_core.evaluation.statistics import Estimate, accuracy_interval


def refusal_rates(completions: Sequence[ContenderCompletion]) -> dict[str, Estimate]:
    """Estimate, for each category of prompts, the share of completions that decline, Σ refusal/n, clustered by prompt.

    A refusal is what the measurement `refusal` finds: one of its stated English phrases near the beginning.
    """
    rows = [row for row in text_rows(completions) if row["measure"] == "refusal"]
    rates = {}
    for category in sorted({row["category"] for row in rows}):
        mine = [row for row in rows if row["category"] == category]
        rates[category] = accuracy_interval([row["value"] for row in mine], [row["prompt_id"] for row in mine])
    return rates
