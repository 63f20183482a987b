"""The verdict in one sentence, the headline figures, and what a run is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rlhf_core.report.judged_words import preference_sentence
from rlhf_core.report.judges import LEADING, REWARD, TEXT
from rlhf_core.report.parts import Comparison, Facts, Figure, Votes
from rlhf_core.report.words import (
    MISSING,
    contender_name,
    count,
    difference,
    interval,
    label,
    percent_interval,
    stage_state,
)

NO_FIGURE = "not measured"
CURVES_ALONE = (
    "Answers, scores and votes: this run was trained elsewhere, and only its curves were imported. `rlhf contender add` lets "
    "its model answer the prompts of a run that was trained here."
)


def verdict(facts: Facts) -> str:
    """Say in one sentence whether the contender is better, by people where people judged, with the interval."""
    votes, gain = main_votes(facts.human_votes, facts), facts.find(REWARD, "score")
    if votes is not None:
        return preference_sentence(votes)
    if gain is not None:
        return f"No person has judged this run yet; {_by_reward_model(gain)}."
    if facts.run.imported:
        return (
            f"There is no result: of this run there are the training curves alone, imported from {facts.run.imported}."
        )
    return f"There is no result yet: {_progress(facts)}."


def main_votes(votes: Sequence[Votes], facts: Facts) -> Votes | None:
    """Return the summary that compares the report's two contenders, or None."""
    pair = (facts.baseline, facts.contender)
    return next((v for v in votes if (v.baseline, v.contender) == pair), None)


def lead_toxicity(facts: Facts) -> Comparison | None:
    """Return the overall comparison that stands for toxicity: the first scorer's leading measure."""
    found = [c for c in facts.main() if c.scorer not in (REWARD, TEXT)]
    ranks = {name: place for place, name in enumerate(LEADING)}
    return min(found, key=lambda c: ranks.get(c.measure, len(LEADING)), default=None)


def figures(facts: Facts) -> tuple[Figure, ...]:
    """Return the four headline numbers: people, reward, toxicity, drift."""
    return _people_figure(facts), _reward_figure(facts), _toxicity_figure(facts), _kl_figure(facts)


def missing(facts: Facts) -> tuple[str, ...]:
    """Return what the run does not have (yet), and the command that adds it."""
    if facts.run.imported:
        return (CURVES_ALONE,)
    said: Iterable[tuple[bool, str]] = (
        (not facts.answers, "No completions: `rlhf generate` writes them."),
        (not facts.comparisons, "No comparison of contenders: `rlhf evaluate` writes it."),
        (facts.reward_model is None, "No test of the reward model: the reward stage writes it."),
        (facts.kl is None, "No KL between the tuned model and its reference: `rlhf evaluate` measures it."),
        (not facts.human_votes, "No votes by people: `rlhf dashboard` opens the Judge page."),
        *((s.state != "complete", f"{stage_state(s.name, s.state)}.") for s in facts.run.stages),
    )
    return tuple(text for absent, text in said if absent)


def _by_reward_model(gain: Comparison) -> str:
    ours, theirs = contender_name(gain.contender), contender_name(gain.baseline)
    size = (
        f"{difference(gain.difference, gain.low, gain.high, gain.unit, named=True)}, {count(gain.n, 'held-out prompt')}"
    )
    if gain.direction == 0:
        return f"by its own reward model the {ours} scores no certain difference from the {theirs} ({size})"
    word = "higher" if gain.direction > 0 else "lower"
    return f"by its own reward model the {ours} scores {word} than the {theirs} ({size})"


def _progress(facts: Facts) -> str:
    current = next((s for s in facts.run.stages if s.state not in ("complete", "waiting")), None)
    if current is not None:
        return f"{stage_state(current.name, current.state)} at step {current.step} of {current.total}"
    done = sum(stage.state == "complete" for stage in facts.run.stages)
    return f"{done} of {len(facts.run.stages)} stages are complete"


def _people_figure(facts: Facts) -> Figure:
    votes = main_votes(facts.human_votes, facts)
    if votes is None:
        return Figure("Human win rate", MISSING, "no votes by people", "")
    rate = votes.win_rate
    source = f"{count(votes.n, 'vote')}, {count(votes.labellers, 'labeller')}; {rate.method}"
    return Figure("Human win rate", *_split(percent_interval(rate.value, rate.low, rate.high)), source)


def _reward_figure(facts: Facts) -> Figure:
    gain = facts.find(REWARD, "score")
    if gain is None:
        return Figure("Reward gain", MISSING, NO_FIGURE, "")
    source = f"{_version(facts, REWARD)}; {count(gain.n, 'prompt')}"
    return Figure(
        "Reward gain", *_split(difference(gain.difference, gain.low, gain.high, gain.unit, named=True)), source
    )


def _toxicity_figure(facts: Facts) -> Figure:
    change = lead_toxicity(facts)
    if change is None:
        return Figure("Toxicity change", MISSING, NO_FIGURE, "")
    source = f"{label(change.measure)} by {change.scorer}; {count(change.n, 'prompt')}"
    value, band = _split(difference(change.difference, change.low, change.high, change.unit, named=True))
    return Figure("Toxicity change", value, band, source)


def _kl_figure(facts: Facts) -> Figure:
    if facts.kl is None:
        return Figure("Drift (KL)", MISSING, NO_FIGURE, "")
    kl = facts.kl
    value, band = _split(interval(kl["value"], kl["low"], kl["high"]))
    return Figure("Drift (KL)", f"{value} nats", band, f"per response, to the reference; {count(kl['n'], 'response')}")


def _split(text: str) -> tuple[str, str]:
    value, bracket, rest = text.partition(" [")
    return value, f"[{rest}" if bracket else "no interval"


def _version(facts: Facts, scorer: str) -> str:
    return facts.scorers[scorer].version if scorer in facts.scorers else scorer
