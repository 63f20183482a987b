"""What a report and the terminal say of a later round: where it comes from, and how its reward model agrees with people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlhf_core.report.parts import Facts
from rlhf_core.report.words import contender_name, count, difference, percent, percent_interval


def round_paragraphs(facts: Facts) -> tuple[str, ...]:
    """Return what a report says of the round: its origin, and its reward models against the votes; nothing of a first run."""
    origin = (facts.lineage.sentence,) if facts.lineage else ()
    return (*origin, " ".join(against_votes(facts.against_votes))) if facts.against_votes else origin


def against_votes_rows(test: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the same as rows: each reward model's share of decided pairs on which it agrees, and the difference."""
    shares = {name: report["decided"] for name, report in test["models"].items()} | {"difference": test["difference"]}
    who = {"criterion": test["criterion"], "simulated": test["simulated"]}
    return [{"reward_model_of": name} | who | share for name, share in shares.items() if share is not None]


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
        said.append(f"The reward model that made the {contender_name(name)} agrees on {agrees}.")
    if (change := test["difference"]) is not None:
        amount = difference(change["value"], change["low"], change["high"], "share", named=True)
        said.append(f"The later less the earlier: {amount}.")
    if (one_side := test["one_side"]) is not None:
        said.append(
            f"Always choosing the side preferred more often, without reading, would be right on {percent(one_side)}."
        )
    return tuple(said)
