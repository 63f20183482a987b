"""The whole report in the order in which it is read, as blocks; its results, where `sections.py` has the rest."""

from __future__ import annotations

from collections.abc import Sequence

from rlhf_core.report import pictures, sections
from rlhf_core.report.auto_judge_blocks import agreement_table, auto_judge_blocks
from rlhf_core.report.blocks import Block, Bullets, Heading, Prose, Table, Track, Verbatim
from rlhf_core.report.figures import axis_of
from rlhf_core.report.judged_words import (
    JUDGED_HOW,
    agreement_sentence,
    judged_sentences,
    votes_sentence,
)
from rlhf_core.report.judges import REWARD, TEXT
from rlhf_core.report.parts import Comparison, Facts, Votes
from rlhf_core.report.refusals import CATEGORIES, RefusalRate
from rlhf_core.report.rounds import round_paragraphs
from rlhf_core.report.words import (
    MISSING,
    contender_name,
    difference,
    label,
    level,
    number,
    outcome_name,
    p_value,
    percent,
    percent_interval,
    sentence_case,
)


def document(facts: Facts, longest: int | None = None) -> list[Block]:
    """Return the report below its verdict and headline figures; examples are cut at `longest` letters."""
    rounds = round_paragraphs(facts)
    return [
        *_listed("Keep in mind", facts.caveats),
        *_listed("Missing from this report", facts.missing),
        *sections.criteria_blocks(facts),
        *(block for votes in facts.human_votes for block in vote_blocks("What people say", votes)),
        *_listed("Where this round comes from", rounds),
        *_listed("How far labellers agree", [_on(facts, a.criterion) + agreement_sentence(a) for a in facts.agreement]),
        *_judges(facts),
        *auto_judge_blocks(facts),
        *_family(facts, "Reward-model score", [REWARD]),
        *sections.gallery(pictures.gains(facts)),
        *_family(facts, "Toxicity before and after", _toxicity(facts)),
        *_flagged(facts),
        *_refusals(facts),
        *_over_optimised(facts),
        *_family(facts, "Length and form of the answers", [TEXT]),
        *sections.gallery(pictures.length(facts)),
        *sections.example_blocks(facts, longest),
        *sections.method_blocks(facts),
        *sections.data_blocks(facts),
        *_reward_model(facts),
        *sections.training_blocks(facts),
        *_simulated(facts),
        *sections.limitation_blocks(facts),
        *sections.measure_blocks(facts),
    ]


def vote_blocks(title: str, v: Votes) -> list[Block]:
    """Return what one set of votes says of two contenders on one criterion."""
    slices = [("All votes", v.win_rate), *((sentence_case(label(n)), r) for n, r in v.by_category.items() if n)]
    rates = [(name, percent_interval(r.value, r.low, r.high), str(r.n)) for name, r in slices]
    tracks = [Track(r.value, r.low, r.high, (0.0, 1.0), 0.5) for _, r in slices]
    shares = [
        (sentence_case(outcome_name(name, v.baseline, v.contender)), percent_interval(s.value, s.low, s.high))
        for name, s in v.shares.items()
    ]
    return [
        Heading(title),
        Prose(votes_sentence(v)),
        Table(("Win rate", "Share", "Votes"), rates, tracks=tracks),
        Table(("Outcome", "Share of votes"), shares),
        *map(Prose, judged_sentences(v)),
        *sections.gallery(pictures.stopping(v)),
        Prose(f"Intervals: {v.win_rate.method}.", "quiet"),
    ]


def _listed(title: str, texts: Sequence[str]) -> list[Block]:
    return [Heading(title), Bullets(texts)] if texts else []


def _on(facts: Facts, criterion: str) -> str:
    """Name the criterion where there are several."""
    return f"{criterion}: " if len(facts.agreement) > 1 else ""


def _judges(facts: Facts) -> list[Block]:
    if not facts.judges:
        return []
    table = agreement_table(facts.judges, [f"{j.scorer}, {label(j.measure)}" for j in facts.judges])
    return [Heading("Automatic judges against people"), table, Prose(JUDGED_HOW, "quiet")]


def _toxicity(facts: Facts) -> list[str]:
    return [name for name in dict.fromkeys(c.scorer for c in facts.comparisons) if name not in (REWARD, TEXT)]


def _family(facts: Facts, title: str, scorers: Sequence[str]) -> list[Block]:
    """Return the main pair's rows of some scorers, one table for each unit, and what these scorers do not see."""
    rows = [c for c in facts.main(None) if c.scorer in scorers]
    if not rows:
        return []
    pair = f"{sentence_case(contender_name(facts.contender))} less {contender_name(facts.baseline)}, prompt by prompt."
    blocks: list[Block] = [Heading(title), Prose(pair)]
    for scorer, unit in dict.fromkeys((c.scorer, c.unit) for c in rows):
        blocks.append(_differences([c for c in rows if (c.scorer, c.unit) == (scorer, unit)], scorer, unit))
    told = [facts.scorers[name] for name in scorers if name in facts.scorers]
    return [*blocks, *(Prose(f"{s.name} ({s.version}): {s.blind_spots}", "quiet") for s in told)]


def _differences(rows: Sequence[Comparison], scorer: str, unit: str) -> Table:
    axis = axis_of([end for c in rows for end in (c.difference, c.low, c.high)], 0.0)
    shown = "points" if unit == "share" else unit
    header = (
        sentence_case(scorer),
        "Category",
        f"Difference ({shown})",
        "Before",
        "After",
        "Higher / lower",
        "Prompts",
    )
    cells = [
        (
            *(label(c.measure), label(c.category) or "all"),
            *(difference(c.difference, c.low, c.high, c.unit), level(c.mean_baseline, c.unit)),
            *(level(c.mean_contender, c.unit), f"{percent(c.share_up)} / {percent(c.share_down)}", str(c.n)),
        )
        for c in rows
    ]
    return Table(header, cells, right=2, tracks=[Track(c.difference, c.low, c.high, axis, 0.0) for c in rows])


def _flagged(facts: Facts) -> list[Block]:
    if not facts.flagged:
        return []
    header = ("Scorer", "Measure", "Threshold", "Before", "After", "Only before", "Only after", "Exact McNemar")
    rows = [
        (
            *(f.scorer, label(f.measure), f"{f.threshold:g}", f"{f.before} of {f.n}"),
            *(f"{f.after} of {f.n}", str(f.only_before), str(f.only_after), p_value(f.p_value)),
        )
        for f in facts.flagged
    ]
    return [Heading("At or above the threshold", 2), Table(header, rows, right=2)]


def _refusals(facts: Facts) -> list[Block]:
    if facts.refusals is None:
        return []
    header = ("Contender", "Declined", "Change against base", "Newly / no longer", "Prompts")
    blocks: list[Block] = [Heading("Declined: safe prompts, and unsafe ones"), Prose(facts.refusals.sentence)]
    for category, rates in facts.refusals.by_category.items():
        rows = [
            (sentence_case(contender_name(r.contender)), r.share, r.change or MISSING, _moved(r), str(r.n))
            for r in rates
        ]
        tracks = [Track(r.declined, r.low, r.high, (0.0, 1.0), 0.0) for r in rates]
        blocks += [
            Heading(f"{category.capitalize()} prompts: {CATEGORIES[category]}", 2),
            Table(header, rows, tracks=tracks),
        ]
    return [*blocks, Prose(f"{facts.refusals.blind_spots} {facts.refusals.counted}", "quiet")]


def _moved(rate: RefusalRate) -> str:
    return MISSING if rate.newly is None else f"{rate.newly} / {rate.no_longer}"


def _over_optimised(facts: Facts) -> list[Block]:
    """Return reward, KL and what gave way beside the reward."""
    if facts.kl is None and facts.drift is None:
        return []
    apart = [] if facts.kl is None else [Prose(kl_sentence(facts))]
    said = [facts.drift.sentence] if facts.drift else []
    ended = [facts.outcome.sentence] if facts.outcome else []
    return [
        Heading("Reward, KL and over-optimisation"),
        *apart,
        *map(Prose, (*said, *ended, *facts.alarms)),
        *sections.gallery(pictures.drift(facts)),
    ]


def kl_sentence(facts: Facts) -> str:
    """Say how far the policy drifted."""
    if facts.kl is None:
        return ""
    shown = next(f for f in facts.figures if f.label == "Drift (KL)")
    return f"KL to the reference: {shown.value} {shown.interval}, {shown.source}."


def _reward_model(facts: Facts) -> list[Block]:
    r = facts.reward_model
    if r is None:
        return []
    rows = [("all", r["accuracy"]["value"], r["accuracy"]["low"], r["accuracy"]["high"], r["n_pairs"])]
    rows += [
        (c["category"], c["accuracy"], c["low"], c["high"], c["n_pairs"]) for c in r["by_category"] if c["category"]
    ]
    shown = [(label(name), percent_interval(v, low, high), str(n)) for name, v, low, high, n in rows]
    tracks = [Track(v, low, high, (0.0, 1.0), 0.5) for _, v, low, high, _ in rows]
    said = (
        f"Kendall’s τ {number(r['kendall_tau'], 2)}; expected calibration error {percent(r['calibration_error'])}. "
        f"People chose the longer answer in {percent(r['length']['longer_wins'])} of pairs; score and length "
        f"correlate at {number(r['length']['score_length_correlation'], 2)}. Model: {r['model']}."
    )
    table = Table(("Category", "Agrees with people", "Pairs"), shown, tracks=tracks)
    title = Heading("How far the reward model can be trusted")
    return [title, table, Prose(said), *sections.gallery(pictures.calibration(facts))]


def _simulated(facts: Facts) -> list[Block]:
    blocks: list[Block] = []
    for votes in facts.simulated_votes:
        title, *rest = vote_blocks("Simulated votes", votes)
        blocks += [
            title,
            Prose("No person gave these votes.", "strong"),
            Prose("A rule made them, to show a report with votes."),
        ]
        blocks += rest
    return [*blocks, Verbatim(facts.simulation_rule)] if blocks and facts.simulation_rule else blocks
