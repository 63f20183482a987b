"""Automatic judges: what language models prefer, how far that hangs on the order, and how far they agree with people."""

from __future__ import annotations

import streamlit as st

from dashboard import charts
from dashboard.components.judges import agreement_chart
from dashboard.components.look import current_palette, data_behind, show_figure
from dashboard.services import wording
from dashboard.services.auto_judges import numbers
from rlhf_core.report.auto_judges import NOT_PEOPLE, judge_sentences, share_or_dash
from rlhf_core.report.judge_parts import AutoJudge
from rlhf_core.report.judged_words import the

LETTERS = 24
"""Of a row's name, so that its number of items is never cut."""
LOWEST = 130
"""Pixels of a chart of one row: in less the axis's title runs into its numbers."""


def auto_judge_section(judges: tuple[AutoJudge, ...]) -> None:
    """Show what each judge says; nothing where no language model has judged."""
    if not judges:
        return
    st.markdown("#### Automatic judges (not people)")
    st.caption(f":material/smart_toy: {NOT_PEOPLE}")
    for judge in judges:
        first, *more = map(wording.plain, judge_sentences(judge))
        st.markdown("\n".join([first, "", *(f"- {sentence}" for sentence in more)]))
    left, right = st.columns(2, gap="medium")
    with left:
        _preferred(judges)
    with right:
        _agreement(judges)
    data_behind(numbers(judges), "data-auto-judges", "Data behind the automatic judges")


def _preferred(judges: tuple[AutoJudge, ...]) -> None:
    rates = [(judge.name, one) for judge in judges for one in judge.judged if one.win_rate]
    if not rates:
        return
    several = len({(one.baseline, one.contender) for _, one in rates}) > 1
    st.markdown(f"**{'What they prefer' if several else f'Win rate of {wording.plain(the(rates[0][1].contender))}'}**")
    whose = [f"{name}: {one.contender} against {one.baseline}" if several else name for name, one in rates]
    named = [f"{charts.cut(name, LETTERS)} (n = {one.items:,})" for name, (_, one) in zip(whose, rates, strict=True)]
    rows = [(one.win_rate.value, one.win_rate.low, one.win_rate.high) for _, one in rates if one.win_rate]
    figure = charts.intervals(named, rows, current_palette(), reference=0.5, x_title="share, 95% interval", share=True)
    if len(rows) == 1:
        figure.update_layout(height=LOWEST)
    said = "; ".join(f"{name} {share_or_dash(one.win_rate)}" for name, (_, one) in zip(named, rates, strict=True))
    show_figure(figure, "auto-judges", f"Win rates by automatic judges, which are not people: {said}")


def _agreement(judges: tuple[AutoJudge, ...]) -> None:
    found = [one for judge in judges for one in judge.people]
    if not found:
        return
    agreement_chart(found, "auto-judges-agreement")
