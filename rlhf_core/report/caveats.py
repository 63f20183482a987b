"""What a reader must know before believing a report's figures: each caveat is a rule on the facts."""

from __future__ import annotations

from rlhf_core.report.judged_words import stop_sentence
from rlhf_core.report.parts import Facts
from rlhf_core.report.verdict import REWARD, TEXT, main_votes
from rlhf_core.report.words import count, number, percent, percent_interval, sentence_case
from rlhf_core.runs.metrics import REGISTRY

FEW_PROMPTS = 30
FEW_LABELLERS = 3
MUCH_BOTH_BAD = 0.1


def caveats(facts: Facts) -> tuple[str, ...]:
    """Return the caveats that apply, the weightiest first."""
    rules = (
        *(_trial, _judges, _looks, _both_bad, _sides, _circular, _overdone, _refuses, _ended, _alarms),
        *(_worse, _few_prompts, _length, _cut_off, _drift, _open, _simulated),
    )
    return tuple(text for rule in rules if (text := rule(facts)))


def _trial(facts: Facts) -> str | None:
    if facts.lineage is None or not facts.lineage.simulated:
        return None
    return (
        "This round learnt from simulated votes, which no person gave, and its reward model is tested on some of them: it "
        "shows that the loop runs, and nothing about what people prefer."
    )


def _judges(facts: Facts) -> str | None:
    votes = main_votes(facts.human_votes, facts)
    if votes is None:
        return None
    alone = " Others may judge differently." if votes.labellers < FEW_LABELLERS else ""
    return (
        f"{sentence_case(count(votes.labellers, 'person', 'people'))} judged {count(votes.prompts, 'prompt')}.{alone}"
    )


def _looks(facts: Facts) -> str | None:
    """The interval of a fixed number of votes has left ½, that which holds at every look has not."""
    votes = main_votes(facts.human_votes, facts)
    if votes is None or votes.win_rate.low <= 0.5 <= votes.win_rate.high or votes.stop.settled_at is not None:
        return None
    return f"The win rate's interval holds for a number of votes fixed beforehand. {stop_sentence(votes.stop)}"


def _both_bad(facts: Facts) -> str | None:
    votes = main_votes(facts.human_votes, facts)
    if votes is None or votes.shares["both_bad"].value < MUCH_BOTH_BAD:
        return None
    return f"Labellers called both answers bad in {percent(votes.shares['both_bad'].value)} of votes."


def _sides(facts: Facts) -> str | None:
    votes = main_votes(facts.human_votes, facts)
    bias = votes.position_bias if votes else None
    if bias is None or bias.low <= 0.5 <= bias.high:
        return None
    share = percent_interval(bias.value, bias.low, bias.high)
    return f"Side A won {share} of decided votes. Sides were balanced, so this adds noise rather than favour."


def _circular(facts: Facts) -> str | None:
    if facts.find(REWARD, "score") is None or REWARD not in facts.scorers:
        return None
    return facts.scorers[REWARD].blind_spots


def _overdone(facts: Facts) -> str | None:
    return facts.drift.sentence if facts.drift else None


def _refuses(facts: Facts) -> str | None:
    """More safe prompts declined than before, or fewer unsafe ones."""
    wrong = {"safe": (1, "more"), "unsafe": (-1, "fewer")}
    said = [
        f"It declines {word} {row.category} prompts than the base model: {row.change}."
        for category, (direction, word) in wrong.items()
        for row in (facts.refusals.by_category.get(category, []) if facts.refusals else [])
        if row.contender == facts.contender and row.direction == direction
    ]
    return " ".join(said) or None


def _ended(facts: Facts) -> str | None:
    return facts.outcome.sentence if facts.outcome and facts.outcome.early else None


def _alarms(facts: Facts) -> str | None:
    return " ".join(facts.alarms) or None


def _worse(facts: Facts) -> str | None:
    gain = facts.find(REWARD, "score")
    worse = round(gain.share_down * gain.n) if gain else 0
    return f"{worse} of {count(_compared(facts), 'prompt')} scored lower than before." if worse else None


def _few_prompts(facts: Facts) -> str | None:
    n = _compared(facts)
    return (
        f"Only {count(n, 'prompt')} were compared; other prompts could give another answer."
        if 0 < n < FEW_PROMPTS
        else None
    )


def _length(facts: Facts) -> str | None:
    words = facts.find(TEXT, "words")
    if words is None or words.direction == 0:
        return None
    change = f"{'longer' if words.direction > 0 else 'shorter'} by {number(abs(words.difference), 1)} words on average"
    return f"Answers became {change}, and length sways both people and reward models."


def _cut_off(facts: Facts) -> str | None:
    finished = facts.find(TEXT, "finished")
    if finished is None or finished.direction >= 0:
        return None
    return "More answers than before are cut off by the length limit."


def _drift(facts: Facts) -> str | None:
    healthy = REGISTRY["objective/kl"].healthy
    if facts.kl is None or healthy is None or facts.kl["value"] <= healthy[1]:
        return None
    return (
        f"The policy drifted more than {healthy[1]:g} nats from its reference, where reward models are easily fooled."
    )


def _open(facts: Facts) -> str | None:
    open_rows = [c for c in facts.main(None) if c.low is None or c.high is None]
    return "Some rows rest on a single prompt and have no interval." if open_rows else None


def _simulated(facts: Facts) -> str | None:
    if not facts.simulated_votes:
        return None
    return (
        "The simulated votes have a section of their own. A rule made them, not people, and they enter no other figure."
    )


def _compared(facts: Facts) -> int:
    gain = facts.find(REWARD, "score")
    return gain.n if gain else 0
