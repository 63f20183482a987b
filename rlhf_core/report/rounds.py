"""What a report and the terminal say of a later round: where it comes from, and how its reward model agrees with people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlhf_core.report.words import count, difference, percent_interval


def against_votes(test: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the content of `evaluation/reward_against_votes.json` in sentences: each reward model, then their difference."""
    who = "Simulated votes" if test["simulated"] else "People"
    said = [
        f"{who} decided {test['decided_by_people']} of {count(test['pairs'], 'pair')} on "
        f"{count(test['prompts'], 'held-out prompt')} that no reward model was trained on."
    ]
    for name, report in test["models"].items():
        share = report["decided"]
        agrees = percent_interval(share["value"], share["low"], share["high"]) if share else "none that both decided"
        said.append(f"The reward model of {name} agrees on {agrees} of them.")
    if (change := test["difference"]) is not None:
        amount = difference(change["value"], change["low"], change["high"], "share", named=True)
        said.append(f"Later less earlier: {amount}.")
    return tuple(said)
