"""Automatic judges against people: agreement, κ, by category, and the table of who chose what."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard import charts
from dashboard.components.look import current_palette, data_behind, show_figure
from dashboard.result_charts import counts, with_names
from dashboard.services import wording
from dashboard.services.results import Results
from rlhf_core.report.judged_words import JUDGED_HOW, decided_of, judge_sentence, kappa_of, share_of
from rlhf_core.report.parts import Judge, Votes

OUTCOMES = {"contender": "first named", "baseline": "second named", "tie": "tie", "both_bad": "both bad"}
LETTERS = 26
"""So many letters of a judge and its category fit beside their interval and their n."""


def judges_section(results: Results, pair: Votes) -> None:
    """Show how often each scorer chooses as people do; nothing where the judged texts have no scores."""
    judges = [judge for judge in results.judges if judge.criterion == pair.criterion]
    overall = [judge for judge in judges if not judge.category]
    if not overall:
        return
    st.markdown("#### Automatic judges against people")
    st.markdown("\n".join(f"- {wording.plain(judge_sentence(judge))}" for judge in overall))
    left, right = st.columns(2, gap="medium")
    with left:
        agreement_chart(judges, "judges")
    with right:
        _confusion(results, overall)
    st.caption(JUDGED_HOW)
    data_behind(_table(judges), "data-judges", "Data behind the judges")


def agreement_chart(judges: Sequence[Judge], key: str) -> None:
    """Draw how often each judge, and of each category, chooses as most people do."""
    st.markdown("**The same choice as most people**")
    palette = current_palette()
    named = [f"{_row_name(judge)} (n = {judge.items:,})" for judge in judges]
    rows = [(j.agreement.value, j.agreement.low, j.agreement.high) for j in judges]
    colours = [palette.base if j.category else palette.tuned for j in judges]
    figure = charts.intervals(
        named, rows, palette, reference=0.5, x_title="share, 95% interval", share=True, colours=colours
    )
    said = "; ".join(f"{name} {share_of(j.agreement)}" for name, j in zip(named, judges, strict=True))
    show_figure(figure, key, f"Share of items with the same choice as most people: {said}")


def _row_name(judge: Judge) -> str:
    """Return a judge's name and category; where both are too long the name is cut, since the category tells its rows apart."""
    category = charts.cut(f", {judge.category}" if judge.category else "", LETTERS * 2 // 3)
    return charts.cut(judge.scorer, LETTERS - len(category)) + category


def _confusion(results: Results, overall: list[Judge]) -> None:
    shown = {judge.scorer: judge for judge in overall}
    first = next(iter(shown))
    chosen = st.segmented_control(
        "Judge", list(shown), default=first, required=True, key="judge-shown", bind="query-params"
    )
    judge = shown.get(chosen, overall[0])
    table = with_names(pd.DataFrame(judge.confusion).T.drop(columns="both_bad"), _outcome_names(results))
    st.caption(f"Rows: what people chose. Columns: what the {judge.scorer} chose.")
    figure = counts(table, current_palette())
    show_figure(figure, "confusion", f"Items by what people chose, in rows, and what {judge.scorer} chose, in columns")


def _outcome_names(results: Results) -> dict[str, str]:
    """Return outcomes in words; of several pairs, A and B of “A against B”."""
    pairs = {(pair.baseline, pair.contender) for pair in results.pairs}
    if len(pairs) > 1:
        return OUTCOMES
    ((baseline, contender),) = pairs
    return OUTCOMES | {"contender": contender, "baseline": baseline}


def _table(judges: list[Judge]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "judge": j.scorer,
            "measure": j.measure,
            "category": j.category or "all",
            "items": j.items,
            "not judged": j.unjudged,
        }
        | {"same choice": share_of(j.agreement), "where both decided": decided_of(j), "Cohen’s κ": kappa_of(j)}
        for j in judges
    )
