"""The report's section on automatic judges: language models' verdicts, apart from people's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rlhf_core.report.auto_judges import NOT_PEOPLE, judge_sentences, share_or_dash
from rlhf_core.report.blocks import Block, Bullets, Heading, Prose, Table, Track
from rlhf_core.report.judge_parts import AutoJudge, Judge
from rlhf_core.report.judged_words import decided_of, kappa_of, share_of
from rlhf_core.report.parts import Facts
from rlhf_core.report.words import contender_name, label


def auto_judge_blocks(facts: Facts) -> list[Block]:
    """Return what each automatic judge says, and how far it agrees with people; nothing where none has judged."""
    if not facts.auto_judges:
        return []
    return [
        Heading("Automatic judges (not people)"),
        Prose(NOT_PEOPLE, "quiet"),
        *(block for judge in facts.auto_judges for block in _said(judge)),
        *_preferred(facts),
        *_agreement(facts),
    ]


def _said(judge: AutoJudge) -> list[Block]:
    first, *more = judge_sentences(judge)
    return [Prose(first), Bullets(more)] if more else [Prose(first)]


def _preferred(facts: Facts) -> list[Block]:
    found = [(judge.name, one, one.win_rate) for judge in facts.auto_judges for one in judge.judged if one.win_rate]
    if not found:
        return []
    header = ("Judge", "Compared", "Criterion", "First named wins", "Same in both orders", "Items")
    rows = [
        (
            *(name, f"{contender_name(one.contender)} against {contender_name(one.baseline)}", one.criterion),
            *(share_of(rate), share_or_dash(one.stands), str(one.items)),
        )
        for name, one, rate in found
    ]
    tracks = [Track(rate.value, rate.low, rate.high, (0.0, 1.0), 0.5) for _, _, rate in found]
    return [Table(header, rows, right=3, tracks=tracks)]


def _agreement(facts: Facts) -> list[Block]:
    found = [one for judge in facts.auto_judges for one in judge.people]
    if not found:
        return []
    tracks = [Track(one.agreement.value, one.agreement.low, one.agreement.high, (0.0, 1.0), 0.5) for one in found]
    table = agreement_table(found, [one.scorer for one in found])
    return [Heading("How far they agree with people", 2), replace(table, tracks=tracks)]


def agreement_table(judges: Sequence[Judge], names: Sequence[str]) -> Table:
    """Return how far judges agree with people, a row for each under its name."""
    header = (
        *("Judge", "Criterion", "Category"),
        *("Same choice as most people", "Where both decided", "Cohen’s κ", "Items"),
    )
    rows = [
        (
            *(name, one.criterion, label(one.category) or "all"),
            *(share_of(one.agreement), decided_of(one), kappa_of(one), str(one.items)),
        )
        for name, one in zip(names, judges, strict=True)
    ]
    return Table(header, rows, right=3)
