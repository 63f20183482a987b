"""What people's votes say, in sentences that the report and the pages share."""

from __future__ import annotations

from math import exp, isfinite

from rlhf_core.evaluation.agreement import Agreement
from rlhf_core.evaluation.statistics import AtEqualLength, Estimate
from rlhf_core.evaluation.statistics.sequential import HORIZON
from rlhf_core.report.parts import Judge, Stop, Votes
from rlhf_core.report.words import (
    contender_name,
    count,
    interval,
    number,
    outcome_name,
    percent,
    percent_interval,
    sentence_case,
)

HALF_COUNTED = "a tie or both bad counting half"
JUDGED_HOW = (
    "People’s choice is the commonest verdict on an item; items where several lead are left out. A toxicity scorer prefers the "
    "less toxic answer, the reward model the higher score; neither ever says both bad. They are compared with people and enter "
    "no other figure."
)
FAIR = 0.67
"""From this α on agreement carries tentative conclusions (Krippendorff 2004, p. 241)."""


def the(contender: str) -> str:
    """Return a contender in a sentence: `the base model`, or the name itself where it is somebody's own."""
    name = contender_name(contender)
    return name if name == contender else f"the {name}"


def votes_sentence(votes: Votes) -> str:
    """Say of what a set of votes consists, and how a vote counts."""
    pair = (
        f"{sentence_case(contender_name(votes.contender))} against {contender_name(votes.baseline)}, {votes.criterion}"
    )
    given = count(votes.n, "simulated vote" if votes.simulated else "vote")
    by = count(votes.labellers, "made-up labeller" if votes.simulated else "labeller")
    return f"{pair}: {given} on {count(votes.prompts, 'prompt')} by {by}. A win counts 1, a tie or both bad ½."


def preference_sentence(votes: Votes) -> str:
    """Say who is preferred, or that the interval leaves it open."""
    rate, ours, theirs = votes.win_rate, the(votes.contender), the(votes.baseline)
    share = f"{share_of(rate)} of {count(votes.n, 'simulated vote' if votes.simulated else 'vote')}"
    if votes.simulated:
        said = f"By the rule that made them, {ours} wins {share} against {theirs}, {HALF_COUNTED}."
    elif rate.low > 0.5:
        said = f"People prefer {ours} to {theirs}: it wins {share}, {HALF_COUNTED}."
    elif rate.high < 0.5:
        said = f"People prefer {theirs} to {ours}, which wins only {share}, {HALF_COUNTED}."
    else:
        said = f"People’s votes do not settle it: {ours} wins {share} against {theirs}, {HALF_COUNTED}."
    return said


def stop_sentence(stop: Stop) -> str:
    """Say whether one may stop voting, whenever one looks, and how much more is likely needed."""
    counted = "first vote" if stop.overlap == 1 else f"first {stop.overlap} votes"
    if not stop.prompts:
        return f"Go on: no prompt has its {count(stop.overlap, 'planned vote')} yet."
    band = f"[{number(100 * stop.low, 1)}, {number(100 * stop.high, 1)}]"
    seen = f"over {count(stop.prompts, 'prompt')}, the {counted} on each, the interval that holds however often one looks is {band}"
    if stop.settled_at is not None:
        return f"You may stop: {seen}; it left 50% at prompt {stop.settled_at:,}."
    if stop.more is None:
        return (
            f"Not settled: {seen}. If votes go on as they did, more than {HORIZON:,} further prompts would be needed."
        )
    return f"Go on: {seen}. If votes go on as they did, about {count(stop.more, 'more prompt')} settle it."


def side_sentence(bias: Estimate | None) -> str:
    """Say whether one side was favoured."""
    if bias is None:
        return "No vote has picked a side yet."
    share = f"A wins {share_of(bias)} of {count(bias.n, 'decided vote')}"
    if bias.low <= 0.5 <= bias.high:
        return f"No sign of a side bias: {share}."
    return f"Side {'A' if bias.value > 0.5 else 'B'} is favoured: {share}. Sides are balanced, so this adds noise, not favour."


def agreement_sentence(found: Agreement) -> str:
    """Say how far labellers agree beyond chance, or why that cannot be said."""
    if found.raw is None:
        return "No item has been judged by two people yet, so nothing can be said of their agreement."
    same = f"two labellers agree on {share_of(found.raw)} of {count(found.items, 'item')} that several judged"
    if found.alpha is None:
        return f"{sentence_case(same)}. {' '.join(f'{problem}.' for problem in found.problems)}"
    alpha = found.alpha
    band = interval(alpha.value, alpha.low, alpha.high) if isfinite(alpha.high - alpha.low) else number(alpha.value)
    why = "" if isfinite(alpha.high - alpha.low) else f" ({alpha.method})"
    fleiss = (
        f"; Fleiss’ κ {number(found.fleiss)} on {count(found.fleiss_items, 'item')}" if found.fleiss is not None else ""
    )
    return f"{_strength(alpha)}: Krippendorff’s α {band}{why}{fleiss}; {same}."


def _strength(alpha: Estimate) -> str:
    """Say what the whole interval bears out, and no more."""
    if not isfinite(alpha.high - alpha.low):
        return "Too few prompts to say how far labellers agree"
    if alpha.low <= 0:
        return "Labellers are not shown to agree beyond chance"
    return "Labellers agree well" if alpha.low >= FAIR else "Labellers agree beyond chance"


def consensus_sentence(votes: Votes) -> str:
    """Say on how many items most labellers chose what; nothing where each has a single vote only."""
    if votes.n <= votes.prompts:
        return ""
    named = {name: outcome_name(name, votes.baseline, votes.contender) for name in votes.shares} | {"split": "split"}
    parts = [f"{named[name]} {amount:,}" for name, amount in votes.consensus.items() if amount]
    return f"What most chose, by item: {', '.join(parts)}."


def length_sentence(votes: Votes) -> str:
    """Say what is left of the preference at equal length, beside the plain share, and how length pulls."""
    found = votes.equal_length
    if found.share is None or found.slope is None or votes.decided is None:
        return f"The pull of length cannot be told: {found.problem or 'no vote is decided'}."
    plain = f"{share_of(votes.decided)} of {count(votes.decided.n, 'decided vote')}"
    return (
        f"At equal length {the(votes.contender)} would win {share_of(found.share)} of decided votes; as they are it wins {plain}. "
        f"{_pull(found)}"
    )


def _pull(found: AtEqualLength) -> str:
    slope = found.slope
    assert slope is not None
    odds = interval(exp(slope.value), exp(slope.low), exp(slope.high))
    if slope.low <= 0 <= slope.high:
        return f"No sign that length decides: a standard deviation more words multiplies the odds of winning by {odds}."
    word = "Longer" if slope.value > 0 else "Shorter"
    return f"{word} answers win more often: a standard deviation more words multiplies the odds of winning by {odds}."


def judged_sentences(votes: Votes) -> list[str]:
    """Return what a report says of one pair beyond its shares: stopping, consensus, length and sides."""
    said = (
        stop_sentence(votes.stop),
        consensus_sentence(votes),
        length_sentence(votes),
        side_sentence(votes.position_bias),
    )
    return [sentence for sentence in said if sentence]


def judge_sentence(judge: Judge) -> str:
    """Say how often a judge chose as most people did, and how far beyond chance."""
    kappa = f"Cohen’s κ {_kappa(judge.kappa)}" if judge.kappa else f"{judge.problem}"
    decided = f"; {share_of(judge.decided)} of those where both chose a side" if judge.decided else ""
    unjudged = f" {count(judge.unjudged, 'item')} it did not judge." if judge.unjudged else ""
    return (
        f"{judge.scorer} ({judge.measure}): the same choice as most people on {share_of(judge.agreement)} of "
        f"{count(judge.items, 'item')}{decided}; {kappa}.{unjudged}"
    )


def _kappa(kappa: Estimate) -> str:
    bounded = isfinite(kappa.high - kappa.low)
    return interval(kappa.value, kappa.low, kappa.high) if bounded else f"{number(kappa.value)} ({kappa.method})"


def share_of(share: Estimate) -> str:
    """Return a share with its interval."""
    return percent_interval(share.value, share.low, share.high)


def kappa_of(judge: Judge) -> str:
    """Return κ with its interval, or a dash."""
    return _kappa(judge.kappa) if judge.kappa else "–"


def decided_of(judge: Judge) -> str:
    """Return the agreement where both chose a side, or a dash."""
    return share_of(judge.decided) if judge.decided else percent(None)
