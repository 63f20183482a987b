"""Write a report as Markdown; what models or people wrote is fenced or escaped, so that it stays text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rlhf_core.report.judged_words import (
    JUDGED_HOW,
    agreement_sentence,
    decided_of,
    judged_sentences,
    kappa_of,
    share_of,
)
from rlhf_core.report.parts import Answer, Comparison, Example, Facts, Votes
from rlhf_core.report.refusals import CATEGORIES, RefusalRate, Refusals
from rlhf_core.report.rounds import round_paragraphs
from rlhf_core.report.words import (
    MISSING,
    STAGES,
    contender_name,
    count,
    difference,
    duration,
    label,
    level,
    number,
    outcome_name,
    p_value,
    percent,
    percent_interval,
    sentence_case,
    stage_steps,
)
from rlhf_core.visible import one_line, visible

SPECIAL = re.compile(r"([\\`*_\[\]<>#|~$&])")
IN_PROSE = re.compile(r"([\\`*_<>|~$&]|\](?=[(\[:]))")


def render_markdown(facts: Facts) -> str:
    """Return the report as one Markdown document."""
    blocks = [
        f"# {escape(facts.run.name)}: RLHF Studio report",
        _state(facts),
        f"**{prose(facts.verdict)}**",
        _table(
            ("", "Value", "95% interval", "From"),
            [tuple(map(prose, (f.label, f.value, f.interval, f.source))) for f in facts.figures],
        ),
        *_list("Keep in mind", [prose(text) for text in facts.caveats]),
        *_list("Missing from this report", facts.missing),
        *(block for votes in facts.human_votes for block in _votes("What people say", votes)),
        *_list("Where this round comes from", round_paragraphs(facts)),
        *_list("How far labellers agree", [_on(facts, a.criterion) + agreement_sentence(a) for a in facts.agreement]),
        *_judges(facts),
        *_comparisons(facts),
        *_flagged(facts),
        *_refusals(facts.refusals),
        *_examples("Rose most", facts.best),
        *_examples("Fell most", facts.worst),
        *_reward_model(facts),
        *_simulated(facts),
        *_answers(facts.answers),
        *_made(facts),
    ]
    return "\n\n".join(blocks) + "\n"


def escape(text: str) -> str:
    """Return text on one line that Markdown shows letter by letter."""
    return SPECIAL.sub(r"\\\1", visible(" ".join(text.split())))


def prose(text: str) -> str:
    """Return a sentence of the report as Markdown: brackets of intervals stay, names in it mark up and link nothing."""
    return IN_PROSE.sub(r"\\\1", one_line(text))


def fence(text: str) -> str:
    """Return text as a code block, fenced by more backticks than it holds in a row."""
    text = visible(text)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    mark = "`" * max(3, longest + 1)
    return f"{mark}text\n{text}\n{mark}"


def _state(facts: Facts) -> str:
    recorded = ", recorded run" if facts.run.recorded else ""
    started = f", run of {facts.run.started[:10]}" if facts.run.started else ""
    return f"State: {escape(facts.run.state)}{recorded}{started}."


def _list(title: str, texts: Sequence[str]) -> list[str]:
    return [f"## {title}", "\n".join(f"- {text}" for text in texts)] if texts else []


def _votes(title: str, v: Votes) -> list[str]:
    who = count(v.labellers, "made-up labeller" if v.simulated else "labeller")
    sentence = (
        f"{sentence_case(contender_name(v.contender))} against {contender_name(v.baseline)}, {escape(v.criterion)}: "
        f"{count(v.n, 'vote')} on {count(v.prompts, 'prompt')} by {who}. A win counts 1, a tie or both bad ½."
    )
    slices = [
        ("All votes", v.win_rate),
        *((sentence_case(label(name)), r) for name, r in v.by_category.items() if name),
    ]
    rates = [(escape(name), percent_interval(r.value, r.low, r.high), str(r.n)) for name, r in slices]
    shares = [
        (prose(sentence_case(outcome_name(name, v.baseline, v.contender))), percent_interval(s.value, s.low, s.high))
        for name, s in v.shares.items()
    ]
    return [
        f"## {title}",
        prose(sentence),
        _table(("Win rate", "Share", "Votes"), rates),
        _table(("Outcome", "Share of votes"), shares),
        *judged_sentences(v),
        f"Intervals: {v.win_rate.method}.",
    ]


def _on(facts: Facts, criterion: str) -> str:
    """Name the criterion where there are several."""
    return f"{escape(criterion)}: " if len(facts.agreement) > 1 else ""


def _judges(facts: Facts) -> list[str]:
    if not facts.judges:
        return []
    header = (
        "Judge",
        "Criterion",
        "Category",
        "Same choice as most people",
        "Where both decided",
        "Cohen’s κ",
        "Items",
    )
    rows = [
        (
            *(escape(f"{j.scorer}, {label(j.measure)}"), escape(j.criterion), escape(label(j.category)) or "all"),
            *(share_of(j.agreement), decided_of(j), kappa_of(j), str(j.items)),
        )
        for j in facts.judges
    ]
    return ["## Automatic judges against people", _table(header, rows), JUDGED_HOW]


def _comparisons(facts: Facts) -> list[str]:
    rows = facts.main(None)
    if not rows:
        return []
    header = ("Scorer", "Measure", "Category", "Unit", "Before", "After", "Difference", "Higher / lower", "Prompts")
    scorers = [f"- **{escape(s.name)}** ({escape(s.version)}): {escape(s.blind_spots)}" for s in facts.scorers.values()]
    title = prose(f"{sentence_case(contender_name(facts.contender))} less {contender_name(facts.baseline)}, by prompt")
    return [f"## {title}", _table(header, [_comparison(c) for c in rows]), "\n".join(scorers)]


def _comparison(c: Comparison) -> tuple[str, ...]:
    return (
        escape(c.scorer),
        escape(label(c.measure)),
        escape(label(c.category)) or "all",
        escape(c.unit),
        level(c.mean_baseline, c.unit),
        level(c.mean_contender, c.unit),
        difference(c.difference, c.low, c.high, c.unit),
        f"{percent(c.share_up)} / {percent(c.share_down)}",
        str(c.n),
    )


def _flagged(facts: Facts) -> list[str]:
    if not facts.flagged:
        return []
    header = ("Scorer", "Measure", "Threshold", "Before", "After", "Only before", "Only after", "Exact McNemar")
    rows = [
        (
            *(escape(f.scorer), escape(label(f.measure)), f"{f.threshold:g}", f"{f.before} of {f.n}"),
            *(f"{f.after} of {f.n}", str(f.only_before), str(f.only_after), p_value(f.p_value)),
        )
        for f in facts.flagged
    ]
    return ["## At or above the threshold", _table(header, rows)]


def _refusals(refusals: Refusals | None) -> list[str]:
    if refusals is None:
        return []
    header = ("Contender", "Declined", "Change against base", "Newly / no longer", "Prompts")
    blocks = ["## Declined: safe prompts, and unsafe ones", refusals.sentence]
    for category, rates in refusals.by_category.items():
        rows = [
            (prose(sentence_case(contender_name(r.contender))), r.share, r.change or MISSING, _moved(r), str(r.n))
            for r in rates
        ]
        blocks += [f"### {category.capitalize()} prompts: {CATEGORIES[category]}", _table(header, rows)]
    return [*blocks, f"{refusals.blind_spots} {refusals.counted}"]


def _moved(rate: RefusalRate) -> str:
    return MISSING if rate.newly is None else f"{rate.newly} / {rate.no_longer}"


def _examples(title: str, examples: Sequence[Example]) -> list[str]:
    if not examples:
        return []
    blocks = [f"## Examples: {title.lower()}", "Chosen by the change in reward-model score, not by hand."]
    for e in examples:
        blocks += [f"### {escape(e.answer.prompt)} ({number(e.gain, 2, signed=True)})"]
        blocks += _sides(e.answer, (e.baseline, e.contender))
    return blocks


def _sides(answer: Answer, names: Iterable[str]) -> list[str]:
    blocks = []
    for name in names:
        score = f", score {number(answer.scores[name], 2)}" if name in answer.scores else ""
        blocks += [prose(f"{sentence_case(contender_name(name))}{score}:"), fence(answer.texts[name])]
    return blocks


def _reward_model(facts: Facts) -> list[str]:
    r = facts.reward_model
    if r is None:
        return []
    rows = [("all", r["accuracy"]["value"], r["accuracy"]["low"], r["accuracy"]["high"], r["n_pairs"])]
    rows += [
        (c["category"], c["accuracy"], c["low"], c["high"], c["n_pairs"]) for c in r["by_category"] if c["category"]
    ]
    shown = [(escape(label(name)), percent_interval(v, low, high), str(n)) for name, v, low, high, n in rows]
    return [
        "## How far the reward model can be trusted",
        _table(("Category", "Agrees with people", "Pairs"), shown),
        f"Kendall’s τ {number(r['kendall_tau'], 2)}; expected calibration error {percent(r['calibration_error'])}. "
        f"People chose the longer answer in {percent(r['length']['longer_wins'])} of pairs; score and length "
        f"correlate at {number(r['length']['score_length_correlation'], 2)}. Model: {escape(str(r['model']))}.",
    ]


def _simulated(facts: Facts) -> list[str]:
    blocks = []
    for votes in facts.simulated_votes:
        title, *rest = _votes("Simulated votes", votes)
        blocks += [title, "**No person gave these votes.** A rule made them, to show a report with votes.", *rest]
    return [*blocks, fence(facts.simulation_rule)] if blocks and facts.simulation_rule else blocks


def _answers(answers: Sequence[Answer]) -> list[str]:
    blocks = ["## All answers"] if answers else []
    for answer in answers:
        blocks += [f"### {escape(answer.prompt_id)}: {escape(answer.prompt)}", *_sides(answer, answer.texts)]
    return blocks


def _made(facts: Facts) -> list[str]:
    run = facts.run
    pairs = (("Command", run.command), ("Policy", run.policy_model), ("Reward model", run.reward_model))
    more = (("Seed", run.seed), ("Commit", run.commit), ("Hardware", run.hardware), ("Started", run.started))
    known = [f"- {name}: {escape(str(value))}" for name, value in (*pairs, *more) if value not in (None, "")]
    stages = [(STAGES[s.name], s.state, stage_steps(s.step, s.total), duration(s.seconds)) for s in run.stages]
    config = ["### Configuration", fence(facts.config)] if facts.config else []
    table = _table(("Stage", "State", "Steps", "Time"), stages)
    return ["## How it was made", *(["\n".join(known)] if known else []), table, *config]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
