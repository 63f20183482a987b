"""Every figure of a report by name, with its interval: the table in all formats, and what `rlhf report --fail-if` asks for."""

from __future__ import annotations

from collections.abc import Iterator

from rlhf_core.report.parts import Comparison, Facts, Measure
from rlhf_core.report.verdict import REWARD, TEXT, lead_toxicity, main_votes
from rlhf_core.report.words import contender_name, difference, interval, percent_interval

NAMES = {
    "win_rate": "people’s win rate, a tie or both bad counting half",
    "win_rate_any_time": "the same, with the interval that holds however often one looks",
    "ties": "share of people’s votes that are ties",
    "both_bad": "share of people’s votes that call both answers bad",
    "side_a": "share of decided votes that side A wins",
    "win_rate_equal_length": "share of decided votes the contender would win at equal length",
    "votes": "people’s votes on the two contenders",
    "judged_prompts": "prompts that people judged",
    "labellers": "people who judged",
    "agreement": "share of agreeing pairs of people’s votes on one item",
    "alpha": "Krippendorff’s α between people",
    "score_difference": "reward-model score, contender less baseline",
    "prompts": "held-out prompts that both contenders answered and the reward model scored",
    "prompts_worse": "share of prompts that score lower than before",
    "toxicity_before": "mean toxicity of the baseline, by the first scorer",
    "toxicity": "mean toxicity of the contender, by the first scorer",
    "toxicity_difference": "toxicity, contender less baseline",
    "over_refusal": "share of safe prompts that the contender declines",
    "over_refusal_difference": "the same less the base model’s share",
    "unsafe_declined": "share of unsafe prompts that the contender declines",
    "unsafe_declined_difference": "the same less the base model’s share",
    "kl": "KL to the reference, nats per response",
    "length_difference": "words, contender less baseline",
    "finished_difference": "share of answers that end by themselves, contender less baseline",
    "reward_accuracy": "share of held-out pairs on which the reward model agrees with people",
    "reward_calibration_error": "expected calibration error of the reward model",
}
"""The figures in their order. Each with an interval can be asked for as NAME_low and NAME_high too."""
SHARES = {
    *(
        "win_rate",
        "win_rate_any_time",
        "ties",
        "both_bad",
        "side_a",
        "win_rate_equal_length",
        "agreement",
        "prompts_worse",
    ),
    *("over_refusal", "unsafe_declined", "reward_accuracy", "reward_calibration_error"),
}
POINTS = {"over_refusal_difference", "unsafe_declined_difference", "finished_difference"}
COUNTS = {"votes", "judged_prompts", "labellers", "prompts"}
SIGNED = {"score_difference", "toxicity_difference", "length_difference"}
Ends = tuple[float, float | None, float | None]


def measures(facts: Facts) -> tuple[Measure, ...]:
    """Return every figure that the run has, in the order of `NAMES`; what it does not have is left out."""
    found = dict(_all(facts))
    return tuple(Measure(name, NAMES[name], *found[name]) for name in NAMES if name in found)


def measure_text(measure: Measure) -> str:
    """Return a figure as a report writes it, with its interval."""
    name, value, low, high = measure.name, measure.value, measure.low, measure.high
    if name in COUNTS:
        return f"{value:,.0f}"
    if name in SHARES:
        return percent_interval(value, low, high)
    if name in POINTS:
        return difference(value, low, high, "share", named=True)
    return difference(value, low, high, "") if name in SIGNED else interval(value, low, high)


def contenders_sentence(facts: Facts) -> str:
    """Say who is the contender and who the baseline."""
    return f"Contender: the {contender_name(facts.contender)}. Baseline: the {contender_name(facts.baseline)}."


def _all(facts: Facts) -> Iterator[tuple[str, Ends]]:
    yield from _people(facts)
    gain = facts.find(REWARD, "score")
    if gain is not None:
        yield "score_difference", _change(gain)
        yield "prompts", (float(gain.n), None, None)
        yield "prompts_worse", (gain.share_down, None, None)
    if (toxic := lead_toxicity(facts)) is not None:
        yield "toxicity_before", (toxic.mean_baseline, None, None)
        yield "toxicity", (toxic.mean_contender, None, None)
        yield "toxicity_difference", _change(toxic)
    yield from _refusals(facts)
    if facts.kl is not None:
        yield "kl", (facts.kl["value"], facts.kl["low"], facts.kl["high"])
    for name, measure in (("length_difference", "words"), ("finished_difference", "finished")):
        if (row := facts.find(TEXT, measure)) is not None:
            yield name, _change(row)
    if facts.reward_model is not None:
        accuracy = facts.reward_model["accuracy"]
        yield "reward_accuracy", (accuracy["value"], accuracy["low"], accuracy["high"])
        yield "reward_calibration_error", (facts.reward_model["calibration_error"], None, None)


def _people(facts: Facts) -> Iterator[tuple[str, Ends]]:
    votes = main_votes(facts.human_votes, facts)
    if votes is None:
        return
    known = {
        "win_rate": votes.win_rate,
        "ties": votes.shares["tie"],
        "both_bad": votes.shares["both_bad"],
        "side_a": votes.position_bias,
        "win_rate_equal_length": votes.equal_length.share,
    }
    agreed = next((a for a in facts.agreement if a.criterion == votes.criterion), None)
    known |= {"agreement": agreed.raw, "alpha": agreed.alpha} if agreed else {}
    for name, estimate in known.items():
        if estimate is not None:
            yield name, (estimate.value, estimate.low, estimate.high)
    if votes.stop.prompts:
        yield "win_rate_any_time", (votes.win_rate.value, votes.stop.low, votes.stop.high)
    yield "votes", (float(votes.n), None, None)
    yield "judged_prompts", (float(votes.prompts), None, None)
    yield "labellers", (float(votes.labellers), None, None)


def _refusals(facts: Facts) -> Iterator[tuple[str, Ends]]:
    names = {"safe": "over_refusal", "unsafe": "unsafe_declined"}
    for category, rates in (facts.refusals.by_category if facts.refusals else {}).items():
        for rate in rates:
            if rate.contender == facts.contender:
                yield names[category], (rate.declined, rate.low, rate.high)
                if rate.difference is not None:
                    change = rate.difference, rate.difference_low, rate.difference_high
                    yield f"{names[category]}_difference", change


def _change(row: Comparison) -> Ends:
    return row.difference, row.low, row.high
